import { createServer, connect as connectTo, type AddressInfo, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { redisStore } from 'portcullis/redis'
import { eventually, startProcess, type PolicyProcess } from '../../support/policy-process.ts'
import { askRedis, freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'

/** A virtual address, at which clients reach the current master. */
interface Address {
  readonly port: number
  moveTo(port: number): void
  close(): void
}

async function startAddress(first: number): Promise<Address> {
  let target = first
  const sockets = new Set<{ destroy(): void }>()
  const server: Server = createServer((socket) => {
    const upstream = connectTo(target, '127.0.0.1')
    for (const end of [socket, upstream]) {
      sockets.add(end)
      end.on('error', () => undefined)
      end.on('close', () => [socket, upstream].forEach((other) => other.destroy()))
    }
    socket.pipe(upstream).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  return {
    port: (server.address() as AddressInfo).port,
    moveTo(port) {
      target = port
      cut()
    },
    close() {
      cut()
      server.close()
    },
  }
}

/** The maximum interval in which the feed reader checks for a gap, in milliseconds. */
const NOTICED_AFTER = 2_500

let master: RedisServer
let replica: RedisServer
let address: Address
let admin: Redis
const processes: PolicyProcess[] = []

beforeAll(async () => {
  master = await startRedis()
  replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  address = await startAddress(master.port)
  admin = connect(master.port)
})
afterEach(async () => {
  for (const process of processes.splice(0)) await process.stop()
  address.moveTo(master.port)
})
afterAll(async () => {
  admin.disconnect()
  address.close()
  await replica.stop()
  await master.stop()
})

function connect(port: number): Redis {
  const client = new Redis({ port, maxRetriesPerRequest: 1, disconnectTimeout: 50 })
  client.on('error', () => undefined)
  return client
}

/** A process with `a` in memory, and a store with `a` and `b`. */
async function startWithApps(): Promise<{ process: PolicyProcess; prefix: string }> {
  const prefix = freshPrefix()
  const process = startProcess(connect(address.port), prefix, 'a')
  processes.push(process)
  await eventually('the feed runs', () => process.source.status().feed === 'whole')
  for (const appId of ['a', 'b']) await process.store.write({ policy: { appId } }, 0)
  await eventually('the app is served', () => process.answers.at(-1)?.what === 1)
  return { process, prefix }
}

async function promoteEmptyReplica(): Promise<void> {
  await askRedis(replica.port, 'REPLICAOF', 'NO', 'ONE')
  await askRedis(replica.port, 'FLUSHALL')
  address.moveTo(replica.port)
}

describe('a Redis that has lost its data', () => {
  const losses: readonly [title: string, lose: (prefix: string) => Promise<unknown>][] = [
    ['it was flushed', () => admin.flushall()],
    [
      'it was flushed, and another app was written since',
      async (prefix) => {
        await admin.flushall()
        await redisStore(admin, { prefix }).write({ policy: { appId: 'other' } }, 0)
      },
    ],
    ['all keys below the prefix were deleted', async (prefix) => admin.del(await admin.keys(`${prefix}*`))],
    ['it was started again without its data', () => master.restart()],
    ['a replica was promoted that had no data', promoteEmptyReplica],
  ]
  it.each(losses)(
    'serves known apps for maxStale, then refuses every id until the loss is accepted: %s',
    async (_title, lose) => {
      const { process, prefix } = await startWithApps()
      const { source, ask, answers } = process
      const before = answers.length
      await lose(prefix)
      await eventually('the loss is noticed', () => source.status().emptied)
      expect(answers.slice(before).map(({ what }) => what)).toContain(1)
      expect((await ask('b')).what).toBe('unavailable')
      await eventually('maxStale has passed', () => answers.at(-1)?.what === 'unavailable')
      for (const appId of ['a', 'b', 'nobody']) expect((await ask(appId)).what).toBe('unavailable')
      expect(answers.slice(before).map(({ what }) => what)).not.toContain('unknown')

      source.acceptEmpty()
      expect(source.status().emptied).toBe(false)
      await eventually('it is reached', async () => (await ask('nobody')).what === 'unknown')
      for (const appId of ['a', 'b']) expect((await ask(appId)).what).toBe('unknown')
    },
  )

  it('serves rewritten apps at once, before the loss is accepted', async () => {
    const { process } = await startWithApps()
    await admin.flushall()
    await eventually('the loss is noticed', () => process.source.status().emptied)
    await process.store.write({ policy: { appId: 'b' } }, 0)
    expect((await process.ask('b')).what).toBe(1)
    expect((await process.ask('nobody')).what).toBe('unavailable')
  })

  it('is reported once', async () => {
    const { process } = await startWithApps()
    let told = 0
    const leave = process.store.watch?.({
      changed: () => undefined,
      broken: () => undefined,
      restored: () => undefined,
      emptied: () => (told += 1),
    })
    await admin.flushall()
    await Promise.all(Array.from({ length: 50 }, (_, index) => process.ask(`x${index}`)))
    await eventually(
      'the reader of the feed has noticed too',
      () => process.source.status().feed === 'broken',
    )
    await eventually('the feed runs again', () => process.source.status().feed === 'whole')
    expect(told).toBe(1)
    leave?.()
  })
})

describe('a Redis that has not lost its data', () => {
  const nothingLost: readonly [title: string, change: (feed: string) => Promise<unknown>][] = [
    ['its stream was trimmed', (feed) => admin.xtrim(feed, 'MAXLEN', 0)],
    ['the key of its stream was deleted', (feed) => admin.del(feed)],
    ['stream and counter were deleted', (feed) => admin.del(feed, `${feed}:number`)],
  ]
  it.each(nothingLost)('serves its apps, and no others, if %s', async (_title, change) => {
    const { process, prefix } = await startWithApps()
    const { source, ask, answers } = process
    const before = answers.length
    await change(`${prefix}{feed}`)
    await redisStore(admin, { prefix }).write({ policy: { appId: 'c' } }, 0)
    await sleep(NOTICED_AFTER)
    await eventually('the feed runs', () => source.status().feed === 'whole')
    for (const appId of ['a', 'b', 'c']) expect((await ask(appId)).what).toBe(1)
    expect((await ask('nobody')).what).toBe('unknown')
    expect(source.status().emptied).toBe(false)
    expect(answers.slice(before).filter(({ what }) => what !== 1)).toEqual([])
  })

  it('has no apps if nothing was ever written, and does not treat the first write as a loss', async () => {
    const process = startProcess(connect(address.port), freshPrefix(), 'a')
    processes.push(process)
    await eventually('the feed runs', () => process.source.status().feed === 'whole')
    expect((await process.ask('nobody')).what).toBe('unknown')
    await process.store.write({ policy: { appId: 'a' } }, 0)
    await eventually('the app is served', () => process.answers.at(-1)?.what === 1)
    expect((await process.ask('nobody')).what).toBe('unknown')
    expect(process.source.status().emptied).toBe(false)
  })

  it('reports that a removed app no longer exists', async () => {
    const { process } = await startWithApps()
    await process.store.remove('b', 1)
    expect((await process.ask('b')).what).toBe('unknown')
  })

  it('does not report this for an app whose data was lost', async () => {
    const { process, prefix } = await startWithApps()
    await admin.del(`${prefix}app:{b}`)
    expect((await process.ask('b')).what).toBe('unavailable')
    expect((await process.ask('nobody')).what).toBe('unknown')
  })
})
