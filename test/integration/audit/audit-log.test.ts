import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { auditAccess, createPolicySource, memoryStore } from 'portcullis'
import type { AuditEvent } from '../../../src/audit/event.ts'
import { parseEvent } from '../../../src/audit/line.ts'
import { auditLog } from '../../../src/audit/log/audit-log.ts'
import type { AuditLog } from '../../../src/audit/log/audit-log-contract.ts'
import type { AuditLogOptions } from '../../../src/audit/log/audit-log-options.ts'
import { linesOf, readFrame } from '../../../src/audit/log/frame.ts'
import type { FrameStore } from '../../../src/audit/log/frame-store.ts'
import { memoryFrames } from '../../../src/audit/log/memory-frames.ts'
import { createRecorder } from '../../../src/audit/recorder.ts'
import { Replay } from '../../../src/audit/spool/replay.ts'
import { ConfigError, UnavailableError } from '../../../src/errors.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { freshPrefix, startRedis, until, type RedisServer } from '../../support/redis.ts'
import { fieldEvent } from '../../unit/audit/events.ts'

let server: RedisServer
let redis: Redis
const logs: AuditLog[] = []
const folders: string[] = []

beforeAll(async () => {
  server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  redis = new Redis(server.url, { retryStrategy: () => 30, disconnectTimeout: 50 })
  redis.on('error', () => undefined)
})
afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close().catch(() => undefined)))
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })))
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

/** Starts Redis again, and waits until the client has noticed. */
const restart = async (): Promise<void> => {
  await server.restart()
  await until('the client is connected again', () => Promise.resolve(redis.status === 'ready'))
}

const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-spool-'))
  folders.push(folder)
  return folder
}
const open = (options: AuditLogOptions): AuditLog => {
  const log = auditLog(options)
  logs.push(log)
  return log
}
const frames = (options: { settlesAfter?: number } = {}): FrameStore =>
  redisFrames(redis, { prefix: freshPrefix(), settlesAfter: 0, ...options })

/** The ids of all events, in the order of the store. */
async function idsIn(store: FrameStore): Promise<string[]> {
  const stored = await store.read(undefined, 100_000)
  return stored.flatMap(({ bytes }) => linesOf(bytes).map((line) => parseEvent(line)?.id ?? '?'))
}

let made = 0
const events = (count: number): AuditEvent[] =>
  Array.from({ length: count }, () => fieldEvent(`e${(made += 1)}`))
const ids = (all: readonly AuditEvent[]): string[] => all.map(({ id }) => id)

describe('auditLog', () => {
  it('stores events in the order in which they arrived, in chained frames, before `write` resolves', async () => {
    const store = frames()
    const log = open({ store })
    const all = events(700)
    await Promise.all([log.write(all.slice(0, 1)), log.write(all.slice(1, 300)), log.write(all.slice(300))])
    expect(await idsIn(store)).toEqual(ids(all))
    const read = (await store.read(undefined, 100)).map(({ bytes }) => readFrame(bytes))
    expect(read.map(({ first }) => first)).toEqual([1, 257, 513])
    for (const [index, frame] of read.entries()) {
      if (index > 0) expect(frame.previous).toEqual(read[index - 1]?.link)
    }
  })

  it('puts events that arrive while frames are in flight into few frames, and does not wait when idle', async () => {
    const store = frames()
    const log = open({ store })
    await log.write(events(1))
    expect(await store.read(undefined, 10)).toHaveLength(1)
    const writes: (void | Promise<void>)[] = []
    for (let turn = 0; turn < 200; turn += 1) {
      writes.push(log.write(events(1)))
      await new Promise(setImmediate)
    }
    await Promise.all(writes)
    expect((await store.read(undefined, 1_000)).length).toBeLessThan(150)
    expect(await idsIn(store)).toHaveLength(201)
  })

  it('stores an event once if a recorder sends it again', async () => {
    const store = frames()
    const log = open({ store, storeTimeout: 10_000 })
    const recorder = createRecorder({ sink: log, sinkTimeout: 30 })
    const all = events(20)
    server.pause()
    const refused = await Promise.allSettled(all.map((event) => recorder.record([event])))
    expect(refused.every(({ status }) => status === 'rejected')).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 600))
    server.resume()
    await until('the recorder has nothing left', async () => !recorder.failing)
    await recorder.close()
    expect((await idsIn(store)).toSorted()).toEqual(ids(all).toSorted())
  })

  it('fails its check while it cannot keep events as its mode requires', async () => {
    const spool = async (): Promise<{ directory: string }> => ({ directory: await newFolder() })
    const stores = open({ store: frames(), storeTimeout: 50 })
    const both = open({ store: frames(), mode: 'both', spool: await spool(), storeTimeout: 50 })
    const spools = open({ store: frames(), mode: 'spool', spool: await spool(), storeTimeout: 50 })
    const fits = (): boolean[] =>
      [stores, both, spools].map((log) => {
        try {
          log.check()
          return true
        } catch (error) {
          expect(error).toBeInstanceOf(UnavailableError)
          return false
        }
      })
    expect(fits()).toEqual([true, true, true])
    await server.kill()
    const writes = [stores, both, spools].map((log) => log.write(events(1)))
    await until('the store is known to fail', async () => spools.status().storeFailing && !fits()[0])
    await until('the log with both is known to fail', async () => !fits()[1])
    expect(fits()).toEqual([false, false, true])
    await restart()
    await Promise.all(writes)
    await until('all logs are fit again', async () => fits().every(Boolean))
    await stores.close()
    expect(fits()).toEqual([false, true, true])
  })

  it('refuses events beyond its queue, reports it, and accepts events again when the store has recovered', async () => {
    const told: string[] = []
    const store = frames()
    const log = open({ store, maxQueue: 100, storeTimeout: 50, onError: ({ message }) => told.push(message) })
    await server.kill()
    const waiting = [log.write(events(80)), log.write(events(40))]
    await expect(Promise.resolve(log.write(events(1)))).rejects.toThrow(
      'the audit queue is full (120 events): neither the store nor the spool accepts new events',
    )
    expect(log.status()).toMatchObject({ waiting: 120, unstored: 120 })
    expect(told).toContain('the audit queue is more than half full: the store or the disk is slow')
    await restart()
    await Promise.all(waiting)
    await log.write(events(1))
    expect(await idsIn(store)).toHaveLength(121)
  })

  it('sends events again that Redis acknowledged and then lost', async () => {
    const prefix = freshPrefix()
    const store = redisFrames(redis, { prefix, settlesAfter: 200 })
    const log = open({ store })
    const all = events(60)
    for (const event of all.slice(0, 30)) await log.write([event])
    // As after a crash: restores an earlier size and head.
    const time = (await store.read(undefined, 30))[24]?.place.split('-')[0] ?? ''
    await redis.hset(`${prefix}{audit}:log`, { size: `25 ${time}`, [`w:${log.status().writer}`]: 25 })
    await until('what was lost is there again', async () => (await idsIn(store)).length === 30)
    for (const event of all.slice(30)) await log.write([event])
    expect(await idsIn(store)).toEqual(ids(all))
  })

  it('reports events that Redis has lost for good, and continues', async () => {
    const prefix = freshPrefix()
    const told: string[] = []
    const log = open({
      store: redisFrames(redis, { prefix, settlesAfter: 0 }),
      onError: ({ message }) => told.push(message),
    })
    await log.write(events(3))
    await redis.del(`${prefix}{audit}:log`)
    await log.write(events(2))
    expect(told).toEqual([
      expect.stringMatching(/lost events that it had acknowledged \(1 to 3 of this writer\)/),
    ])
    const [frame] = await redisFrames(redis, { prefix }).read(undefined, 10)
    expect(readFrame(frame?.bytes ?? Buffer.alloc(0)).first).toBe(4)
  })

  it('never waits in the mode `async`', async () => {
    const store = frames()
    const log = open({ store, mode: 'async' })
    expect(log.write(events(3))).toBeUndefined()
    await log.flush()
    expect(await idsIn(store)).toHaveLength(3)
  })

  it('shuts down in order: `flush` waits for the store, and `close` reports what is lost', async () => {
    const store = frames()
    const log = open({ store, mode: 'async' })
    void log.write(events(5))
    await log.close()
    expect(await idsIn(store)).toHaveLength(5)
    await expect(Promise.resolve(log.write(events(1)))).rejects.toThrow('the audit log is closed')
    const losing = open({ store: frames(), storeTimeout: 50 })
    await server.kill()
    const lost = Promise.resolve(losing.write(events(4))).catch((error: unknown) => error)
    await expect(losing.close()).rejects.toThrow('the audit log was closed, and 4 events are lost')
    expect(await lost).toBeInstanceOf(UnavailableError)
    await restart()
  }, 30_000)
})

describe('auditAccess with auditLog', () => {
  it('closes the log, so that the process can end and nothing is left in the spool', async () => {
    const directory = await newFolder()
    const store = frames()
    const sink = open({ store, spool: { directory } })
    const policies = createPolicySource({ store: memoryStore([]) })
    const audit = auditAccess({ policies, sink })
    void sink.write(events(3))
    await audit.flush()
    expect(await idsIn(store)).toHaveLength(3)
    void sink.write(events(2))
    await audit.close()
    policies.close()
    expect(await idsIn(store)).toHaveLength(5)
    await expect(Promise.resolve(sink.write(events(1)))).rejects.toThrow('the audit log is closed')
    expect((await readdir(directory)).filter((name) => name.endsWith('.lock'))).toEqual([])
  })
})

describe('the spool of auditLog', () => {
  it('keeps events while Redis is unreachable, and sends them when Redis is back', async () => {
    const directory = await newFolder()
    const store = frames()
    const log = open({ store, spool: { directory }, storeTimeout: 100 })
    await log.write(events(10))
    await log.flush()
    await server.kill()
    for (let index = 0; index < 50; index += 1) await log.write(events(3))
    expect(log.status()).toMatchObject({ waiting: 0, unstored: 150 })
    expect(log.status().spoolBytes).toBeGreaterThan(1_000)
    await restart()
    await until('Redis has all', async () => log.status().unstored === 0)
    expect(new Set(await idsIn(store)).size).toBe(160)
    expect(await idsIn(store)).toHaveLength(160)
    expect(log.status().spoolBytes).toBe(0)
    await until('its other files are gone', async () => (await readdir(directory)).length === 2)
    // It has kept an empty file for the next events, which therefore wait for nothing.
    expect(log.write(events(1))).toBeUndefined()
    expect(log.status()).toMatchObject({ waiting: 0, unstored: 1 })
  })

  it('has the first events of a turn before `write` returns; the others share a frame', async () => {
    const directory = await newFolder()
    // So that the spool keeps its file, and needs no new one.
    const store = frames({ settlesAfter: 60_000 })
    const log = open({ store, spool: { directory } })
    await log.write(events(1))
    const { spoolBytes } = log.status()
    await new Promise(setImmediate)
    expect(log.write(events(1))).toBeUndefined()
    expect(log.status().spoolBytes).toBeGreaterThan(spoolBytes)
    expect(log.status().waiting).toBe(0)
    const others = [log.write(events(1)), log.write(events(1))]
    expect(others).not.toContain(undefined)
    await Promise.all(others)
    await log.flush()
    const counts = (await store.read(undefined, 10)).map(({ bytes }) => readFrame(bytes).count)
    expect(counts).toEqual([1, 1, 2])
  })

  it('bounds its memory while Redis is unreachable, and reads the rest from the disk', async () => {
    const directory = await newFolder()
    const store = frames()
    const log = open({ store, spool: { directory, segmentBytes: 1_000_000 }, storeTimeout: 1_000 })
    await server.kill()
    const before = made
    // More events than memory may hold, which do not compress.
    for (let index = 0; index < 30; index += 1) {
      const many = events(2_000).map((event) => ({
        ...event,
        requestId: Buffer.from(crypto.getRandomValues(new Uint8Array(180))).toString('base64'),
      }))
      await log.write(many)
    }
    expect(log.status().spoolBytes).toBeGreaterThan(9 * 1_048_576)
    expect((await readdir(directory)).filter((name) => name.endsWith('.spool')).length).toBeGreaterThan(9)
    await restart()
    await until('Redis has all', async () => log.status().unstored === 0)
    expect(await idsIn(store)).toEqual(Array.from({ length: 60_000 }, (_, index) => `e${before + index + 1}`))
  })

  it('is replayed once, by another process, after its own process has died', async () => {
    const directory = await newFolder()
    const store = frames()
    await server.kill()
    const dead = open({ store, spool: { directory }, storeTimeout: 50 })
    await dead.write(events(5))
    await dead.write(events(7))
    // It ends without contacting Redis, and its lock ends with it.
    await dead.close()
    await restart()
    const onError = (error: unknown): void => {
      throw error
    }
    const replay = new Replay({ directory, store, people: undefined, storeTimeout: 1_000, onError })
    expect(await replay.all()).toBe(2)
    expect(await replay.all()).toBe(0)
    expect(await idsIn(store)).toHaveLength(12)
    expect(await readdir(directory)).toEqual([])
  })

  it('is not touched by others while its process lives', async () => {
    const directory = await newFolder()
    const store = frames()
    const log = open({ store, spool: { directory } })
    await server.kill()
    await log.write(events(2))
    const replay = new Replay({
      directory,
      store,
      people: undefined,
      storeTimeout: 100,
      onError: () => undefined,
    })
    expect(await replay.all()).toBe(0)
    await restart()
    await log.flush()
    expect(await idsIn(store)).toHaveLength(2)
  })

  it('is readable only by its owner', async () => {
    const directory = join(await newFolder(), 'spool')
    const log = open({ store: frames({ settlesAfter: 60_000 }), mode: 'both', spool: { directory } })
    await log.write(events(1))
    const modes = await Promise.all(
      [directory, ...(await readdir(directory)).map((name) => join(directory, name))].map(
        async (path) => (await stat(path)).mode & 0o777,
      ),
    )
    expect(modes).toEqual([0o700, 0o600, 0o600])
  })

  it('falls back on Redis in the mode `spool`, but not in `fsync`, if it cannot be written', async () => {
    const told: string[] = []
    const directory = '/dev/null/spool'
    const onError = ({ message }: Error): unknown => told.push(message)
    const store = frames()
    const log = open({ store, spool: { directory }, onError })
    await log.write(events(2))
    expect(await idsIn(store)).toHaveLength(2)
    await until('the failure is told', async () => told.length > 0)
    expect(told[0]).toMatch(/^the audit spool cannot be used \(E[A-Z]+\): /)
    const strict = open({ store: frames(), mode: 'fsync', spool: { directory } })
    const kept = Promise.resolve(strict.write(events(1))).then(() => 'kept')
    kept.catch(() => undefined)
    const late = new Promise((resolve) => setTimeout(() => resolve('not kept'), 300))
    expect(await Promise.race([kept, late])).toBe('not kept')
  })

  it('waits for both in the mode `both`', async () => {
    const directory = await newFolder()
    const log = open({ store: frames(), mode: 'both', spool: { directory }, storeTimeout: 50 })
    await log.write(events(1))
    await server.kill()
    const kept = Promise.resolve(log.write(events(1))).then(() => 'kept')
    const late = new Promise((resolve) => setTimeout(() => resolve('not kept'), 300))
    expect(await Promise.race([kept, late])).toBe('not kept')
    await restart()
    expect(await kept).toBe('kept')
  })

  it('sends what an earlier process left to a memory store', async () => {
    const directory = await newFolder()
    const away: FrameStore = {
      ...memoryFrames(),
      append: async () => Promise.reject(new UnavailableError('away')),
    }
    const dead = open({ store: away, spool: { directory } })
    await dead.write(events(3))
    await dead.close()
    const store = memoryFrames()
    open({ store, spool: { directory } })
    await until('they are there', async () => (await idsIn(store)).length === 3)
  })

  it('writes no content of events in messages about failures', async () => {
    const told: Error[] = []
    const log = open({
      store: frames(),
      spool: { directory: '/dev/null/x' },
      onError: (error) => told.push(error),
    })
    await log.write([fieldEvent('secret-id')])
    await until('the failure is told', async () => told.length > 0)
    expect(JSON.stringify(told.map(({ message }) => message))).not.toContain('secret-id')
  })
})

describe('the options of auditLog', () => {
  const store = memoryFrames()
  it.each([
    [{}, '`auditLog.store` is missing'],
    [{ store: {} }, '`auditLog.store` must be a frame store'],
    [{ store, mode: 'fsynch' }, 'did you mean `fsync`?'],
    [
      { store, mode: 'spool' },
      '`auditLog.spool` is missing: give an object with `directory`, which the mode `spool` needs',
    ],
    [{ store, spool: {} }, '`auditLog.spool.directory` is missing: give the path of a directory'],
    [{ store, spool: { directory: 'x', size: 1 } }, 'unknown option `size`'],
    [{ store, frameKey: new Uint8Array(31) }, '`auditLog.frameKey` must be at least 32 bytes'],
    [{ store, maxQueue: 0 }, '`auditLog.maxQueue` must be a whole number of events of at least 1'],
  ])('%j are refused', (options, message) => {
    expect(() => auditLog(options as never)).toThrow(ConfigError)
    expect(() => auditLog(options as never)).toThrow(message)
  })
})
