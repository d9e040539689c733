import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import type { AuditEvent } from '../../../src/audit/event.ts'
import { createRecorder } from '../../../src/audit/recorder.ts'
import { readAuditStream, redisAuditSink, type RedisAuditClient } from '../../../src/redis/audit-sink.ts'
import { ConfigError, UnavailableError } from '../../../src/errors.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import { fieldEvent, operationEvent } from '../../unit/audit/events.ts'
import { within } from '../../support/turns.ts'

describe('redisAuditSink', () => {
  let server: RedisServer
  let redis: Redis

  beforeAll(async () => {
    server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    redis = new Redis(server.url, { retryStrategy: () => 50, disconnectTimeout: 50 })
    redis.on('error', () => undefined)
  })

  afterAll(async () => {
    redis.disconnect()
    await server.stop()
  })

  const ids = async (stream: string): Promise<string[]> =>
    (await readAuditStream(redis, { stream, count: 10_000 })).map(({ event }) => event.id)

  it('stores events unchanged and in order, and reads them back', async () => {
    const events: AuditEvent[] = [
      fieldEvent('1', { purpose: 'a\nb\u2028é😀' }),
      operationEvent('2'),
      fieldEvent('3'),
    ]
    await redisAuditSink(redis).write(events)
    const stored = await readAuditStream(redis)
    expect(stored.map(({ event }) => event)).toEqual(events)
    const [[, fields] = []] = await redis.xrange('portcullis:audit', '-', '+')
    expect(fields?.[0]).toBe('event')
    expect(fields?.[1]).toMatch(/^[\x20-\x7e]+$/)
  })

  it('checks whether events can be stored, and stores none', async () => {
    const sink = redisAuditSink(redis, { stream: 'checked' })
    await sink.check?.()
    expect(await redis.exists('checked')).toBe(0)
    await sink.write([fieldEvent('1')])
    await redis.config('SET', 'maxmemory', '1')
    await expect((async () => sink.check?.())()).rejects.toThrow(UnavailableError)
    await redis.config('SET', 'maxmemory', '0')
    await sink.check?.()
    expect(await ids('checked')).toEqual(['1'])
  })

  it('can be read from any entry on', async () => {
    const stream = 'paged'
    const sink = redisAuditSink(redis, { stream })
    for (let index = 0; index < 5; index += 1) await sink.write([fieldEvent(String(index))])
    const read: string[] = []
    let after: string | undefined
    for (;;) {
      const page = await readAuditStream(redis, { stream, after, count: 2 })
      read.push(...page.map(({ event }) => event.id))
      after = page.at(-1)?.entry
      if (page.length < 2) break
    }
    expect(read).toEqual(['0', '1', '2', '3', '4'])
    expect(await readAuditStream(redis, { stream: 'no such stream' })).toEqual([])
  })

  it('uses the key prefix of the client', async () => {
    const prefixed = redis.duplicate({ keyPrefix: 'shop:' })
    await redisAuditSink(prefixed, { stream: 's' }).write([fieldEvent('1')])
    expect(await ids('shop:s')).toEqual(['1'])
    expect(await readAuditStream(prefixed, { stream: 's' })).toHaveLength(1)
    prefixed.disconnect()
  })

  it('does not trim by default, and keeps about `maxLength` events if it is set', async () => {
    const many = Array.from({ length: 500 }, (_, index) => fieldEvent(String(index)))
    for (let index = 0; index < 4; index += 1) {
      await redisAuditSink(redis, { stream: 'all' }).write(many)
      await redisAuditSink(redis, { stream: 'some', maxLength: 100 }).write(many)
    }
    expect(await redis.xlen('all')).toBe(2_000)
    const length = await redis.xlen('some')
    expect([length >= 100, length < 400]).toEqual([true, true])
    expect((await ids('some')).at(-1)).toBe('499')
  })

  it('rejects if Redis refuses, stores none of the events, and reveals nothing of them', async () => {
    await redis.set('text', 'x')
    const failure = await Promise.resolve(
      redisAuditSink(redis, { stream: 'text' }).write([fieldEvent('secret-1'), fieldEvent('2')]),
    ).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(UnavailableError)
    expect((failure as Error).message).toMatch(/^Redis refused: [A-Z]+ \(audit\)$/)
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('secret-1')
    expect(await redis.get('text')).toBe('x')
    await expect(readAuditStream(redis, { stream: 'text' })).rejects.toThrow(UnavailableError)
  })

  it('stores none of the events of a write if Redis has no memory left', async () => {
    await redis.config('SET', 'maxmemory', '1')
    try {
      await expect(
        redisAuditSink(redis, { stream: 'full' }).write([fieldEvent('1'), fieldEvent('2')]),
      ).rejects.toThrow('Redis refused: OOM (audit)')
    } finally {
      await redis.config('SET', 'maxmemory', '0')
    }
    expect(await ids('full')).toEqual([])
  })

  it('names an entry that is not an event', async () => {
    const entry = await redis.xadd('foreign', '*', 'event', '{"version":9}')
    await expect(readAuditStream(redis, { stream: 'foreign' })).rejects.toThrow(`\`${String(entry)}\``)
  })

  it('loses no event of a recorder when Redis is killed and restarted', async () => {
    const stream = 'outage'
    const recorder = createRecorder({ sink: redisAuditSink(redis, { stream }), sinkTimeout: 200 })
    const outcomes: Record<string, 'kept' | 'refused'> = {}
    let next = 0
    const record = async (): Promise<void> => {
      const id = String((next += 1))
      outcomes[id] = await Promise.resolve(recorder.record([fieldEvent(id)])).then(
        () => 'kept' as const,
        () => 'refused' as const,
      )
    }
    for (let index = 0; index < 50; index += 1) await record()
    await server.kill()
    await Promise.all(Array.from({ length: 50 }, record))
    expect(recorder.failing).toBe(true)
    expect(Object.values(outcomes).filter((outcome) => outcome === 'refused')).toHaveLength(50)
    await server.restart()
    for (let tries = 0; recorder.failing && tries < 500; tries += 1) await sleep(20)
    await record()
    await recorder.close()
    expect([recorder.failing, recorder.lost, outcomes[String(next)]]).toEqual([false, 0, 'kept'])
    const stored = await ids(stream)
    const firsts = [...new Set(stored)]
    expect(firsts).toEqual(Array.from({ length: next }, (_, index) => String(index + 1)))
  })

  it('loses no event while Redis is silent, and keeps the deadline of the recorder', async () => {
    const stream = 'silence'
    const recorder = createRecorder({ sink: redisAuditSink(redis, { stream }), sinkTimeout: 100 })
    await recorder.record([fieldEvent('1')])
    server.pause()
    try {
      await expect(within(1_000, recorder.record([fieldEvent('2')]))).rejects.toThrow(UnavailableError)
      await sleep(500)
    } finally {
      server.resume()
    }
    for (let flushes = 1; ; flushes += 1) {
      const failure: unknown = await recorder.flush().then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure === undefined) break
      // The sink may still be answering earlier calls.
      expect(failure).toBeInstanceOf(UnavailableError)
      expect(flushes).toBeLessThan(20)
      await sleep(500)
    }
    expect([...new Set(await ids(stream))]).toEqual(['1', '2'])
    await recorder.close()
  })

  it('refuses immediately while its client is not connected, and leaves nothing in its queue', async () => {
    const lost = new Redis({ host: '127.0.0.1', port: 1, retryStrategy: () => 60_000 })
    lost.on('error', () => undefined)
    for (let tries = 0; lost.status !== 'reconnecting' && tries < 100; tries += 1) await sleep(10)
    await expect(redisAuditSink(lost).write([fieldEvent('1')])).rejects.toThrow('not connected')
    expect((lost as unknown as { offlineQueue: { length: number } }).offlineQueue).toHaveLength(0)
    lost.disconnect()
  })

  it('works on a Cluster', async () => {
    // The servers of a Cluster also use a port that is 10,000 higher, which must exist.
    const args = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']
    let node: RedisServer | undefined
    for (let attempt = 1; node === undefined; attempt += 1) {
      node = await startRedis({ args }).catch((error: unknown) => {
        if (attempt === 20) throw error
        return undefined
      })
    }
    const direct = new Redis(node.url, { disconnectTimeout: 50 })
    await direct.cluster('ADDSLOTS', ...Array.from({ length: 16_384 }, (_, slot) => slot))
    while (!(await direct.cluster('INFO')).includes('cluster_state:ok')) await sleep(20)
    const cluster = new Cluster([{ host: '127.0.0.1', port: node.port }], {
      redisOptions: { disconnectTimeout: 50 },
    })
    try {
      await redisAuditSink(cluster).write([fieldEvent('1'), fieldEvent('2')])
      expect((await readAuditStream(cluster)).map(({ event }) => event.id)).toEqual(['1', '2'])
    } finally {
      cluster.disconnect()
      direct.disconnect()
      await node.stop()
    }
  })

  it('does not show a URL that is passed instead of a client', () => {
    expect(() => redisAuditSink('redis://user:pass@host' as never)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('pass') }),
    )
  })

  const client: RedisAuditClient = { call: () => Promise.resolve(7) }
  it('rejects if Redis reports another number of stored events', async () => {
    await expect(redisAuditSink(client).write([fieldEvent('1')])).rejects.toThrow(UnavailableError)
  })

  const wrong: [string, () => unknown][] = [
    ['no client', () => redisAuditSink(undefined as never)],
    ['a URL', () => redisAuditSink('redis://x' as never)],
    ['no text as the stream', () => redisAuditSink(client, { stream: '' })],
    ['a length of 0', () => redisAuditSink(client, { maxLength: 0 })],
    ['an unknown option', () => redisAuditSink(client, { maxlength: 5 } as object)],
  ]
  for (const [what, make] of wrong) {
    it(`refuses ${what}`, () => expect(make).toThrow(ConfigError))
  }
})
