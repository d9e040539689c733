import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { UnavailableError } from 'portcullis'
import { redisStore, type RedisStore } from 'portcullis/redis'
import {
  eventually,
  MAX_STALE,
  startProcess,
  type Answer,
  type PolicyProcess,
} from '../../support/policy-process.ts'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import { startSentinel, type RedisSentinel } from '../../support/redis-sentinel.ts'
import { askRedis, freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { within } from '../../support/turns.ts'

const settings = {
  maxRetriesPerRequest: 1,
  socketTimeout: 1_000,
  connectTimeout: 1_000,
  disconnectTimeout: 50,
  retryStrategy: () => 50,
}
const APP = 'app'
const COLD = Array.from({ length: 20 }, (_, index) => `cold-${index}`)
const HOW_MANY_KEYS_LOAD_SLOWLY = 3_000

/** The environment of the tests of a fault. */
interface Scene {
  readonly prefix: string
  /** The keys of the app and of the feed. */
  readonly appKey: string
  readonly feedKey: string
}

interface Fault {
  readonly title: string
  connect(): Redis | Cluster
  begin(scene: Scene): Promise<void> | void
  end(scene: Scene): Promise<void> | void
  /** Whether apps can be read during the fault. */
  readonly reads: boolean
  /** Whether apps can be written during the fault. */
  readonly writes: boolean
  /** Whether the fault ends by itself, so that `reads` and `writes` apply in the end and not at once. */
  readonly passes?: boolean
  /** Whether an acknowledged write may be lost. */
  readonly loses?: boolean
}

let server: RedisServer
let proxy: TcpProxy
let sentinel: RedisSentinel
let cluster: RedisCluster

const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

beforeAll(async () => {
  ;[server, sentinel, cluster] = await Promise.all([
    startRedis({ args: [...durable, '--enable-debug-command', 'yes'] }),
    startSentinel(),
    startCluster(),
  ])
  proxy = await startTcpProxy(server.port)
})

afterAll(async () => {
  await proxy.stop()
  await Promise.all([server, sentinel, cluster].map((running) => running.stop()))
})

const ask = (command: string, ...args: (string | number)[]): Promise<unknown> =>
  askRedis(server.port, command, ...args)
const direct = (): Redis => new Redis({ ...settings, port: server.port })
const asUser = (): Redis => new Redis({ ...settings, port: server.port, username: 'app', password: 'pw' })

async function killClients(): Promise<void> {
  await ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
}

async function killFeedReaders(): Promise<void> {
  const list = String(await ask('CLIENT', 'LIST'))
  for (const [, id = ''] of list.matchAll(/^id=(\d+) .*cmd=xread/gm)) await ask('CLIENT', 'KILL', 'ID', id)
}

const isLoading = (): Promise<boolean> =>
  ask('GET', 'x').then(
    () => false,
    (error: unknown) => String(error).includes('LOADING'),
  )

const faults: readonly Fault[] = [
  {
    title: 'Redis is stopped, and connections are refused',
    connect: direct,
    begin: () =>
      askRedis(server.port, 'SHUTDOWN', 'NOSAVE').then(
        () => undefined,
        () => undefined,
      ),
    end: () => server.restart(),
    reads: false,
    writes: false,
  },
  {
    title: 'Redis is killed with -9',
    connect: direct,
    begin: () => server.kill(),
    end: () => server.restart(),
    reads: false,
    writes: false,
  },
  {
    title: 'Redis is paused',
    connect: direct,
    begin: () => server.pause(),
    end: () => server.resume(),
    reads: false,
    writes: false,
  },
  {
    title: 'connections are half-open',
    connect: () => new Redis({ ...settings, port: proxy.port }),
    begin: () => proxy.freeze(),
    end: () => proxy.thaw(),
    reads: false,
    writes: false,
  },
  {
    title: 'the master is killed, and Sentinel promotes the replica',
    connect: () => new Redis({ ...settings, sentinels: [...sentinel.sentinels], name: sentinel.name }),
    async begin() {
      const master = await sentinel.master()
      await master.kill()
    },
    end: () => undefined,
    reads: true,
    writes: true,
    passes: true,
    // Redis replicates after acknowledging: see docs/redis.md.
    loses: true,
  },
  {
    title: 'the slots of the app and of the feed move to other nodes of a Cluster',
    connect: () =>
      new Cluster(
        cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
        { redisOptions: settings },
      ),
    async begin({ appKey, feedKey }) {
      for (const key of [appKey, feedKey])
        await cluster.moveSlotOf(key, ((await cluster.nodeOf(key)) + 1) % cluster.nodes.length)
    },
    end: () => undefined,
    reads: true,
    writes: true,
    passes: true,
  },
  {
    title: 'Redis is loading its data',
    connect: direct,
    async begin() {
      // Each key takes a millisecond, so loading takes several seconds.
      const filler = Array.from({ length: HOW_MANY_KEYS_LOAD_SLOWLY }, (_, index) => [`filler:${index}`, 'x'])
      await ask('MSET', ...filler.flat())
      await ask('CONFIG', 'SET', 'key-load-delay', 1_000, 'loading-process-events-interval-bytes', 1_024)
      void ask('DEBUG', 'RELOAD').catch(() => undefined)
      await eventually('it loads', isLoading)
    },
    async end() {
      await eventually('it has loaded', async () => !(await isLoading()))
      await ask('CONFIG', 'SET', 'key-load-delay', 0)
    },
    reads: false,
    writes: false,
  },
  {
    title: 'Redis is read-only',
    connect: direct,
    begin: () => ask('REPLICAOF', '127.0.0.1', '1').then(() => undefined),
    end: () => ask('REPLICAOF', 'NO', 'ONE').then(() => undefined),
    reads: true,
    writes: false,
  },
  {
    title: 'Redis is out of memory',
    connect: direct,
    begin: () => ask('CONFIG', 'SET', 'maxmemory', 1).then(() => undefined),
    end: () => ask('CONFIG', 'SET', 'maxmemory', 0).then(() => undefined),
    reads: true,
    writes: false,
  },
  {
    title: 'the password is no longer the right one',
    connect: asUser,
    async begin() {
      await ask('ACL', 'SETUSER', 'app', 'on', 'resetpass', '>other', '~*', '&*', '+@all')
      await killClients()
    },
    end: () =>
      ask('ACL', 'SETUSER', 'app', 'on', 'resetpass', '>pw', '~*', '&*', '+@all').then(() => undefined),
    reads: false,
    writes: false,
  },
  {
    title: 'the commands are no longer allowed',
    connect: asUser,
    begin: () => ask('ACL', 'SETUSER', 'app', '-hmget', '-xread').then(() => undefined),
    end: () => ask('ACL', 'SETUSER', 'app', '+hmget', '+xread').then(() => undefined),
    reads: false,
    writes: false,
  },
  {
    title: 'the stream of changes is lost while its readers are cut off',
    connect: direct,
    async begin({ feedKey }) {
      await killFeedReaders()
      await ask('DEL', feedKey, `${feedKey}:number`)
    },
    end: () => undefined,
    reads: true,
    writes: true,
  },
  {
    title: 'the connection of the feed alone is cut',
    connect: direct,
    begin: killFeedReaders,
    end: () => undefined,
    reads: true,
    writes: true,
  },
]

const describeAnswers = (answers: readonly Answer[]): string =>
  [...new Set(answers.map(({ what }) => String(what)))].join(', then ')

/** Writes an app as fast as possible, and records the last acknowledged revision. */
function writeUnderLoad(store: RedisStore): { readonly acknowledged: number; stop(): Promise<void> } {
  let acknowledged = 0
  let stopped = false
  const writing = (async () => {
    while (!stopped) {
      try {
        const { revision = 0 } = (await store.read('busy')) ?? {}
        acknowledged = await store.write({ policy: { appId: 'busy' } }, revision)
      } catch {
        await sleep(5)
      }
    }
  })()
  return {
    get acknowledged() {
      return acknowledged
    },
    async stop() {
      stopped = true
      await writing
    },
  }
}

describe.each(faults)('when $title', ({ connect, begin, end, reads, writes, passes, loses }) => {
  it('callers get the policy within maxStale and then 503, never "no such app" or an older policy, and it recovers', async () => {
    await ask('ACL', 'SETUSER', 'app', 'on', 'resetpass', '>pw', '~*', '&*', '+@all')
    const prefix = freshPrefix()
    const scene = { prefix, appKey: `${prefix}app:{${APP}}`, feedKey: `${prefix}{feed}` }
    const admin = connect()
    admin.on('error', () => undefined)
    const writer = redisStore(admin, { prefix, commandTimeout: 300 })
    const processes: PolicyProcess[] = []
    let stopLoad = async (): Promise<void> => undefined
    try {
      for (const appId of [APP, ...COLD]) await writer.write({ policy: { appId } }, 0)
      processes.push(startProcess(connect(), prefix, APP), startProcess(connect(), prefix, APP))
      const all = (condition: (running: PolicyProcess) => boolean): boolean => processes.every(condition)
      await eventually('both feeds run', () => all(({ source }) => source.status().feed === 'whole'))
      expect(await writer.write({ policy: { appId: APP } }, 1)).toBe(2)
      await eventually('both enforce revision 2', () => all(({ answers }) => answers.at(-1)?.what === 2))

      const load = writeUnderLoad(writer)
      stopLoad = load.stop
      await eventually('it is under load', () => load.acknowledged > 20)

      await begin(scene)
      const began = performance.now()
      if (passes !== true) {
        const attempt = writer.write({ policy: { appId: APP, name: 'during' } }, 2)
        if (writes) expect(await attempt).toBe(3)
        else await expect(attempt).rejects.toBeInstanceOf(UnavailableError)
      }
      const cold: Answer[] = []
      for (const appId of COLD) {
        cold.push(...(await Promise.all(processes.map((running) => running.ask(appId)))))
        await sleep(Math.max(0, (MAX_STALE + 700) / COLD.length - (cold.at(-1)?.took ?? 0)))
      }
      await eventually('maxStale has passed', () => performance.now() - began > MAX_STALE + 700)
      const late = processes.flatMap(({ answers }) =>
        answers.filter(({ at }) => at > began + MAX_STALE + 100 && at < began + MAX_STALE + 600),
      )
      if (passes !== true) {
        expect(late.length).toBeGreaterThan(0)
        expect(describeAnswers(late)).toBe(reads ? (writes ? '3' : '2') : 'unavailable')
        expect(describeAnswers(cold)).toBe(reads ? '1' : 'unavailable')
      }
      await end(scene)

      let newest = 0
      await eventually('a write succeeds', async () => {
        try {
          const { revision = 0 } = (await writer.read(APP)) ?? {}
          expect(revision).toBeGreaterThanOrEqual(2)
          newest = await writer.write({ policy: { appId: APP, name: 'after' } }, revision)
          return true
        } catch (error) {
          if (error instanceof UnavailableError) return false
          throw error
        }
      })
      await eventually('both feeds run again', () => all(({ source }) => source.status().feed === 'whole'))
      await eventually('both enforce the newest', () => all(({ answers }) => answers.at(-1)?.what === newest))
      expect(await writer.write({ policy: { appId: APP, name: 'at last' } }, newest)).toBe(newest + 1)
      await within(
        2_000,
        eventually('a change is announced again', () =>
          all(({ answers }) => answers.at(-1)?.what === newest + 1),
        ),
      )

      await stopLoad()
      const busy = await writer.read('busy')
      if (loses !== true) expect(busy?.revision).toBeGreaterThanOrEqual(load.acknowledged)

      for (const { answers } of processes) {
        const revisions = answers.flatMap(({ what }) => (typeof what === 'number' ? [what] : []))
        expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
        expect(answers.filter(({ what }) => what === 'unknown')).toEqual([])
        // One read, alone or joined, takes at most 500 ms, plus a margin for a busy machine.
        expect(Math.max(...answers.map(({ took }) => took))).toBeLessThan(2_000)
      }
      expect(cold.filter(({ what }) => what === 'unknown')).toEqual([])
    } finally {
      await stopLoad()
      await Promise.all(processes.map((running) => running.stop()))
      writer.close()
      admin.disconnect()
    }
  })
})

describe('when Redis is not started yet', () => {
  it('callers get 503, and the policy as soon as it runs', async () => {
    const own = await startRedis({ args: durable })
    const prefix = freshPrefix()
    const open = (): Redis => new Redis({ ...settings, port: own.port })
    const admin = open()
    admin.on('error', () => undefined)
    const writer = redisStore(admin, { prefix })
    await writer.write({ policy: { appId: APP } }, 0)
    await own.kill()
    const processes = [startProcess(open(), prefix, APP), startProcess(open(), prefix, APP)]
    try {
      await sleep(1_000)
      for (const { answers, source } of processes) {
        expect(describeAnswers(answers)).toBe('unavailable')
        expect(source.status()).toMatchObject({ feed: 'broken', breaker: 'open' })
        expect(Math.max(...answers.map(({ took }) => took))).toBeLessThan(2_000)
      }
      await own.restart()
      await eventually('both enforce it', () =>
        processes.every(
          ({ answers, source }) => answers.at(-1)?.what === 1 && source.status().feed === 'whole',
        ),
      )
      for (const { answers } of processes) expect(describeAnswers(answers)).toBe('unavailable, then 1')
    } finally {
      await Promise.all(processes.map((running) => running.stop()))
      writer.close()
      admin.disconnect()
      await own.stop()
    }
  })
})
