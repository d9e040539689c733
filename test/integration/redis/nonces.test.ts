import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { ConfigError, serverOnly } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { redisNonces, type RedisClient } from 'portcullis/redis'
import { nonceStoreContract } from 'portcullis/testing'
import { eventually } from '../../support/policy-process.ts'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import {
  askRedis,
  freshPrefix,
  PATIENT,
  sharedRedisUrl,
  startRedis,
  type RedisServer,
} from '../../support/redis.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { within } from '../../support/turns.ts'

const settings = {
  maxRetriesPerRequest: 1,
  socketTimeout: 1_000,
  connectTimeout: 1_000,
  disconnectTimeout: 50,
  retryStrategy: () => 50,
}
const clients: (Redis | Cluster)[] = []

function kept<Client extends Redis | Cluster>(client: Client): Client {
  client.on('error', () => undefined)
  clients.push(client)
  return client
}
const shared = (): Redis => kept(new Redis(sharedRedisUrl(), settings))

afterAll(() => {
  for (const client of clients) client.disconnect()
})

nonceStoreContract('Redis', { describe, it }, async () => {
  const client = kept(new Redis(sharedRedisUrl(), { disconnectTimeout: 50 }))
  const nonces = redisNonces(client, { prefix: freshPrefix(), maxPerApp: 300, commandTimeout: PATIENT })
  return { nonces, maxPerApp: 300, dispose() {} }
})

describe('redisNonces', () => {
  it('lets exactly one of many claims over several connections pass', async () => {
    const prefix = freshPrefix()
    const nonces = [shared(), shared(), shared()].map((client) =>
      redisNonces(client, { prefix, commandTimeout: PATIENT }),
    )
    const claims = Array.from({ length: 300 }, (_, index) =>
      nonces[index % 3]?.claim('a', 'nonce', Date.now() + 5_000),
    )
    expect((await Promise.all(claims)).filter(Boolean)).toHaveLength(1)
  })

  it('remembers a nonce for the whole window, also for a message from the future, and for different clocks', async () => {
    const client = shared()
    const prefix = freshPrefix()
    const window = 2 * 300_000
    // A nonce is stored for longer by the maximum duration of the claim itself.
    const patient = redisNonces(client, { prefix, commandTimeout: PATIENT })
    await patient.claim('a', 'n', Date.now() + window)
    const [key = ''] = await client.keys(`${prefix}nonce:*`)
    const remaining = await client.pttl(key)
    expect(remaining).toBeGreaterThan(window + 30_000)
    expect(remaining).toBeLessThanOrEqual(window + 30_000 + PATIENT)
  })

  it('refuses a claim whose clock is half a minute behind that of the first', async () => {
    const client = shared()
    const prefix = freshPrefix()
    const until = Date.now() + 60_000
    expect(
      await redisNonces(client, { prefix, commandTimeout: PATIENT, now: () => until }).claim('a', 'n', until),
    ).toBe(true)
    const behind = redisNonces(client, { prefix, commandTimeout: PATIENT, now: () => until - 29_000 })
    expect(await behind.claim('a', 'n', until)).toBe(false)
  })

  it('treats a claim that the client sent twice as one', async () => {
    const client = shared()
    const twice: RedisClient = {
      status: 'ready',
      duplicate: () => client.duplicate(),
      async call(...command) {
        await client.call(...(command as [string]))
        return client.call(...(command as [string]))
      },
    }
    const nonces = redisNonces(twice, { prefix: freshPrefix(), commandTimeout: PATIENT })
    expect(await nonces.claim('a', 'n', Date.now() + 5_000)).toBe(true)
    expect(await nonces.claim('a', 'n', Date.now() + 5_000)).toBe(false)
  })

  it('does not trust an answer that arrived after the nonce expired', async () => {
    const prefix = freshPrefix()
    let now = Date.now()
    const client = shared()
    const slow: RedisClient = {
      status: 'ready',
      duplicate: () => client.duplicate(),
      async call(...command) {
        now += 10_000
        return client.call(...(command as [string]))
      },
    }
    const nonces = redisNonces(slow, { prefix, now: () => now })
    // The first claim also compares the clocks.
    await nonces.claim('a', 'first', now + 600_000)
    await expect(nonces.claim('a', 'n', now + 1_000)).rejects.toThrow(
      'the nonce expired before Redis answered',
    )
    expect(await nonces.claim('a', 'late', now + 11_000)).toBe(true)
  })

  it('has space again when nonces of the app have expired, and counts no nonce twice', async () => {
    let now = Date.now()
    const nonces = redisNonces(shared(), {
      prefix: freshPrefix(),
      maxPerApp: 20,
      commandTimeout: PATIENT,
      now: () => now,
    })
    for (let count = 0; count < 20; count += 1) {
      expect(await nonces.claim('a', `${count}`, now + 60_000)).toBe(true)
      expect(await nonces.claim('a', `${count}`, now + 60_000)).toBe(false)
    }
    await expect(nonces.claim('a', 'more', now + 60_000)).rejects.toThrow('no room for more than 20')
    // The lifetime, half a minute for clock differences, the time for a command, and one of 16 spans.
    now += (60_000 + 30_000 + PATIENT) * (17 / 16)
    expect(await nonces.claim('a', 'more', now + 60_000)).toBe(true)
  })

  it('needs little memory per nonce, however long it is', async () => {
    const client = shared()
    const prefix = freshPrefix()
    const nonces = redisNonces(client, { prefix, commandTimeout: PATIENT })
    await nonces.claim(APP, 'x'.repeat(10_000), Date.now() + 600_000)
    const keys = await client.keys(`${prefix}*`)
    expect(keys).toHaveLength(2)
    for (const key of keys) expect(await client.memory('USAGE', key)).toBeLessThan(300)
  })

  it.each([{ maxPerApp: 0 }, { maxPerApp: 1.5 }, { commandTimeout: 0 }, { prefix: '{' }, { ttl: 1 }])(
    'refuses the options %j',
    (options) => expect(() => redisNonces(shared(), options as object)).toThrow(ConfigError),
  )
})

const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
let server: RedisServer
let proxy: TcpProxy
let cluster: RedisCluster

beforeAll(async () => {
  ;[server, cluster] = await Promise.all([
    startRedis({ args: [...durable, '--enable-debug-command', 'yes'] }),
    startCluster(),
  ])
  proxy = await startTcpProxy(server.port)
})

afterAll(async () => {
  await proxy.stop()
  await Promise.all([server.stop(), cluster.stop()])
})

const ask = (command: string, ...args: (string | number)[]): Promise<unknown> =>
  askRedis(server.port, command, ...args)
const done = async (...commands: readonly (readonly [string, ...(string | number)[]])[]): Promise<void> => {
  for (const command of commands) await ask(...command)
}
const direct = (): Redis => kept(new Redis({ ...settings, port: server.port }))
const asUser = (): Redis =>
  kept(new Redis({ ...settings, port: server.port, username: 'app', password: 'pw' }))
const RIGHTS = ['~*', '&*', '+@all']

describe('redisNonces and a Cluster', () => {
  const nodes = (): { host: string; port: number }[] =>
    cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))

  it('rejects if the client is for a single server', async () => {
    const prefix = freshPrefix()
    const owner = await cluster.nodeOf(`${prefix}nonce:{a/0}`)
    const stranger = cluster.nodes[(owner + 1) % cluster.nodes.length]
    const nonces = redisNonces(kept(new Redis({ ...settings, port: stranger?.port ?? 0 })), { prefix })
    await expect(nonces.claim('a', 'n', Date.now() + 5_000)).rejects.toThrow('Redis refused: MOVED')
  })

  it('has space for about `maxPerApp` nonces of one app, on all nodes together', async () => {
    const client = kept(new Cluster(nodes(), { redisOptions: settings }))
    const maxPerApp = 64
    const nonces = redisNonces(client, { prefix: freshPrefix(), commandTimeout: 5_000, maxPerApp })
    const claims = Array.from({ length: 8 * maxPerApp }, async (_, index) =>
      nonces.claim('a', `nonce ${index}`, Date.now() + 60_000),
    )
    const results = await Promise.allSettled(claims)
    const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(results.length - refused.length).toBe(maxPerApp)
    for (const { reason } of refused) expect(String(reason)).toContain(`no room for more than ${maxPerApp}`)
  })

  it('remembers claimed nonces, and lets each pass once, while slots move', async () => {
    const prefix = freshPrefix()
    const client = kept(new Cluster(nodes(), { redisOptions: settings }))
    const nonces = redisNonces(client, { prefix, commandTimeout: 5_000 })
    const passed = new Map<string, number>()
    let stopped = false
    const claiming = Array.from({ length: 4 }, async () => {
      while (!stopped) {
        for (let count = 0; count < 60; count += 1) {
          const first = await nonces.claim('a', `nonce ${count}`, Date.now() + 60_000)
          if (first) passed.set(`${count}`, (passed.get(`${count}`) ?? 0) + 1)
        }
      }
    })
    for (let part = 0; part < 16; part += 1) {
      const key = `${prefix}nonce:{a/${part}}`
      await cluster.moveSlotOf(key, ((await cluster.nodeOf(key)) + 1) % cluster.nodes.length)
    }
    stopped = true
    await Promise.all(claiming)
    expect([...passed.values()]).toEqual(Array.from({ length: 60 }, () => 1))
  })
})

interface Fault {
  readonly title: string
  connect(): Redis | Cluster
  begin(): Promise<unknown> | void
  end(): Promise<unknown> | void
  /** Whether earlier claims are lost, because these servers store nothing on disk. */
  readonly loses?: boolean
}

const faults: readonly Fault[] = [
  {
    title: 'Redis is stopped',
    connect: direct,
    begin: () => ask('SHUTDOWN', 'NOSAVE').catch(() => undefined),
    end: () => server.restart(),
  },
  {
    title: 'Redis is killed with -9',
    connect: direct,
    begin: () => server.kill(),
    end: () => server.restart(),
  },
  {
    title: 'Redis is paused',
    connect: direct,
    begin: () => server.pause(),
    end: () => server.resume(),
  },
  {
    title: 'connections are half-open',
    connect: () => kept(new Redis({ ...settings, port: proxy.port })),
    begin: () => proxy.freeze(),
    end: () => proxy.thaw(),
  },
  {
    title: 'Redis is loading its data',
    connect: direct,
    async begin() {
      const filler = Array.from({ length: 2_000 }, (_, index) => [`filler:${index}`, 'x'])
      await ask('MSET', ...filler.flat())
      await ask('CONFIG', 'SET', 'key-load-delay', 1_000, 'loading-process-events-interval-bytes', 1_024)
      void ask('DEBUG', 'RELOAD').catch(() => undefined)
      await eventually('it loads', async () =>
        ask('GET', 'x').then(
          () => false,
          (error: unknown) => String(error).includes('LOADING'),
        ),
      )
    },
    async end() {
      await eventually('it has loaded', async () =>
        ask('GET', 'x').then(
          () => true,
          () => false,
        ),
      )
      await ask('CONFIG', 'SET', 'key-load-delay', 0)
    },
  },
  {
    title: 'Redis is read-only',
    connect: direct,
    begin: () => ask('REPLICAOF', '127.0.0.1', '1'),
    end: () => ask('REPLICAOF', 'NO', 'ONE'),
  },
  {
    title: 'Redis is out of memory',
    connect: direct,
    begin: () => ask('CONFIG', 'SET', 'maxmemory', 1),
    end: () => ask('CONFIG', 'SET', 'maxmemory', 0),
  },
  {
    title: 'too few replicas are there for a write',
    connect: direct,
    begin: () => ask('CONFIG', 'SET', 'min-replicas-to-write', 1),
    end: () => ask('CONFIG', 'SET', 'min-replicas-to-write', 0),
  },
  {
    title: 'the command is not allowed',
    connect: asUser,
    begin: () => ask('ACL', 'SETUSER', 'app', '-eval'),
    end: () => ask('ACL', 'SETUSER', 'app', '+eval'),
  },
  {
    title: 'the last command within the script is not allowed',
    connect: asUser,
    begin: () => ask('ACL', 'SETUSER', 'app', '-set'),
    end: () => ask('ACL', 'SETUSER', 'app', '+set'),
  },
  {
    title: 'the password is no longer the right one',
    connect: asUser,
    begin: () =>
      done(
        ['ACL', 'SETUSER', 'app', 'on', 'resetpass', '>other', ...RIGHTS],
        ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'],
      ),
    end: () => ask('ACL', 'SETUSER', 'app', 'on', 'resetpass', '>pw', ...RIGHTS),
  },
  {
    title: 'all nodes of a Cluster are killed',
    connect: () =>
      kept(
        new Cluster(
          cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
          { redisOptions: settings, clusterRetryStrategy: () => 50 },
        ),
      ),
    async begin() {
      for (const node of cluster.nodes) await node.kill()
    },
    async end() {
      for (const node of cluster.nodes) await node.restart()
    },
    loses: true,
  },
]

interface Answer {
  readonly status: number
  readonly code: string | undefined
  readonly retryAfter: string | null
}

describe.each(faults)('while $title', ({ connect, begin, end, loses }) => {
  it('every signed request is answered with 503 in time, and afterwards each passes once', async () => {
    await ask('ACL', 'SETUSER', 'app', 'on', 'resetpass', '>pw', ...RIGHTS)
    const nonces = redisNonces(connect(), { prefix: freshPrefix(), commandTimeout: 250 })
    const sections = { serverOnly: { mode: 'enforce' } } as const
    const { app, reached } = protectedApp(sections, (policies) => [serverOnly({ policies, nonces })])
    await listening(app, async (origin) => {
      const sign = (): Promise<Record<string, string>> =>
        signRequest({ method: 'GET', url: origin, headers: { 'x-app-id': APP } }, signer)
      const send = async (headers: Record<string, string>): Promise<Answer> => {
        // 250 ms, plus a margin for a busy machine.
        const response = await within(2_000, fetch(origin, { headers }))
        const { code } = (await response.json()) as { code?: string }
        return { status: response.status, code, retryAfter: response.headers.get('retry-after') }
      }
      const before = await sign()
      await eventually('Redis is there', async () => (await send(await sign())).status === 200)
      expect(await send(before)).toMatchObject({ status: 200 })
      const passed = reached.length

      const fresh = await Promise.all(Array.from({ length: 5 }, sign))
      try {
        await begin()
        for (let round = 0; round < 3; round += 1) {
          // A Redis that is still readable knows the used nonces.
          expect(['NONCES_UNAVAILABLE', 'SIGNATURE_REPLAYED']).toContain((await send(before)).code)
          for (const answer of await Promise.all(fresh.map(send))) {
            expect(answer).toMatchObject({ status: 503, code: 'NONCES_UNAVAILABLE' })
            expect(answer.retryAfter).toMatch(/^[1-5]$/)
          }
          await sleep(100)
        }
        expect(reached).toHaveLength(passed)
      } finally {
        await end()
      }

      // The nonces of an app are on all nodes of a Cluster, each of which returns in its own time.
      await eventually('requests pass again', async () => {
        const answers = await Promise.all(Array.from({ length: 16 }, async () => send(await sign())))
        return answers.every(({ status }) => status === 200)
      })
      // Abandoned claims may have succeeded, but only once.
      const codesOf = async (signed: readonly Record<string, string>[]): Promise<string[]> =>
        (await Promise.all(signed.map(send))).map(({ code }) => code ?? 'passed')
      const codes = await codesOf([...fresh, ...fresh])
      expect(codes.filter((code) => code !== 'passed' && code !== 'SIGNATURE_REPLAYED')).toEqual([])
      expect(codes.filter((code) => code === 'passed').length).toBeLessThanOrEqual(fresh.length)
      const newer = await Promise.all(Array.from({ length: 5 }, sign))
      const newerCodes = await codesOf([...newer, ...newer])
      for (let index = 0; index < 5; index += 1)
        expect([newerCodes[index], newerCodes[index + 5]].map(String).toSorted()).toEqual([
          'SIGNATURE_REPLAYED',
          'passed',
        ])
      if (loses !== true) expect((await send(before)).code).toBe('SIGNATURE_REPLAYED')
    })
  })
})

const signer = { keyId: KEY.id, secret: KEY.secret }
