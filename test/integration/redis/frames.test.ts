import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { makeFrame, NO_LINK } from '../../../src/audit/log/frame.ts'
import { toStore, type FrameStore, type FrameToStore } from '../../../src/audit/log/frame-store.ts'
import type { LogStart } from '../../../src/audit/log/log-start.ts'
import { memoryFrames } from '../../../src/audit/log/memory-frames.ts'
import { serialiseEvent } from '../../../src/audit/line.ts'
import { ConfigError, UnavailableError } from '../../../src/errors.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { fromNodeRedis } from '../../../src/redis/node-redis.ts'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import { freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'
import { fieldEvent } from '../../unit/audit/events.ts'

/** Frames of one writer, each with this many events about these people in turn. */
function framesOf(
  writer: string,
  counts: readonly number[],
  people: readonly string[] = ['p'],
): FrameToStore[] {
  let [first, previous] = [1, NO_LINK]
  return counts.map((count) => {
    const lines = Array.from({ length: count }, (_, index) =>
      serialiseEvent(
        fieldEvent(`${writer}-${first + index}`, { person: people[(first + index) % people.length] ?? '' }),
      ),
    )
    const frame = makeFrame({ writer, first, previous, lines })
    first += count
    previous = frame.link
    return toStore(frame)
  })
}

const startAt = (place: string): LogStart => ({ size: 1, peaks: [], writers: {}, checkpoint: '', place })

let server: RedisServer
let cluster: RedisCluster
const closers: (() => unknown)[] = []

beforeAll(async () => {
  server = await startRedis()
  cluster = await startCluster()
})
afterAll(async () => {
  for (const close of closers) await close()
  await Promise.all([server.stop(), cluster.stop()])
})

const node = (): { host: string; port: number } => ({ host: '127.0.0.1', port: cluster.nodes[0]?.port ?? 0 })

const clients: Readonly<Record<string, () => Promise<FrameStore>>> = {
  memory: async () => memoryFrames(),
  ioredis: async () => {
    const redis = new Redis(server.url)
    closers.push(() => redis.disconnect())
    return redisFrames(redis, { prefix: freshPrefix() })
  },
  'ioredis with a key prefix': async () => {
    const redis = new Redis(server.url, { keyPrefix: `own:${freshPrefix()}` })
    closers.push(() => redis.disconnect())
    return redisFrames(redis)
  },
  'ioredis on a Cluster': async () => {
    const redis = new Cluster([node()])
    closers.push(() => redis.disconnect())
    return redisFrames(redis, { prefix: freshPrefix() })
  },
  'node-redis': async () => {
    const client = createClient({ url: server.url })
    await client.connect()
    closers.push(() => client.destroy())
    return redisFrames(fromNodeRedis(client), { prefix: freshPrefix() })
  },
  'node-redis with RESP3': async () => {
    const client = createClient({ url: server.url, RESP: 3 })
    await client.connect()
    closers.push(() => client.destroy())
    return redisFrames(fromNodeRedis(client), { prefix: freshPrefix() })
  },
  'node-redis on a Cluster': async () => {
    const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${node().port}` }] })
    await client.connect()
    closers.push(() => client.destroy())
    return redisFrames(fromNodeRedis(client), { prefix: freshPrefix() })
  },
}

describe.each(Object.entries(clients))('frames in %s', (_name, open) => {
  it('are stored unchanged, in order and once each, whatever is sent again', async () => {
    const store = await open()
    const frames = framesOf('w', [1, 9, 300])
    expect(await store.head('w')).toBe(0)
    expect(await store.append(frames.slice(0, 2))).toBe(10)
    expect(await store.append(frames)).toBe(310)
    expect(await store.append(frames)).toBe(310)
    expect(await store.head('w')).toBe(310)
    const stored = await store.read(undefined, 20)
    expect(stored.map(({ bytes }) => bytes)).toEqual(frames.map(({ bytes }) => bytes))
    expect(await store.read(stored[0]?.place, 1)).toEqual(stored.slice(1, 2))
  })

  it('are not stored after a gap, unless it is declared', async () => {
    const store = await open()
    const frames = framesOf('w', [2, 2, 2])
    expect(await store.append(frames.slice(1))).toBe(0)
    expect(await store.append(frames.slice(0, 1))).toBe(2)
    expect(await store.append(frames.slice(2))).toBe(2)
    expect(await store.append(frames.slice(2), true)).toBe(6)
    expect(await store.read(undefined, 20)).toHaveLength(2)
  })

  it('are read backwards, however many at once, up to the removed ones', async () => {
    const store = await open()
    await store.append(
      framesOf(
        'w',
        Array.from({ length: 600 }, () => 1),
      ),
    )
    const all = await store.read(undefined, 1_000)
    expect(all).toHaveLength(600)
    expect(await store.readBack?.(undefined, 1_000)).toEqual(all.toReversed())
    expect(await store.readBack?.(all[500]?.place, 300)).toEqual(all.slice(200, 500).toReversed())
    await store.removeStart(startAt(all[9]?.place ?? ''))
    expect(await store.readBack?.(all[300]?.place, 1_000)).toEqual(all.slice(10, 300).toReversed())
    expect(await store.readBack?.(all[10]?.place, 5)).toEqual([])
  })

  it('are found by person, page by page, up to the removed ones', async () => {
    const store = await open()
    const frames = framesOf('w', [2, 1, 1, 1, 1, 1, 1, 1, 1], ['alice', 'bob', 'carol'])
    await store.append(frames)
    const expected = frames.filter(({ people }) => people.includes('alice')).map(({ bytes }) => bytes)
    const found: Buffer[] = []
    let after: string | undefined
    for (;;) {
      const page = await store.readPerson('alice', after, 2)
      found.push(...page.map(({ bytes }) => bytes))
      after = page.at(-1)?.place
      if (page.length < 2) break
    }
    expect(found).toEqual(expected)
    expect(expected.length).toBe(3)
    const all = await store.read(undefined, 20)
    await store.removeStart(startAt(all[2]?.place ?? ''))
    expect((await store.start())?.place).toBe(all[2]?.place)
    expect(await store.read(undefined, 20)).toEqual(all.slice(3))
    expect((await store.readPerson('alice', undefined, 10)).map(({ place }) => place)).toEqual(
      all
        .filter((_, index) => index > 2 && frames[index]?.people.includes('alice'))
        .map(({ place }) => place),
    )
    await store.removeStart(startAt(all.at(-1)?.place ?? ''))
    expect(await store.readPerson('alice', undefined, 10)).toEqual([])
    // The numbers continue: removed frames do not count as missing.
    expect(await store.head('w')).toBe(10)
  })
})

describe('redisFrames', () => {
  it('stores each frame once and in order, in whatever order and however often batches arrive', async () => {
    const redis = new Redis(server.url)
    closers.push(() => redis.disconnect())
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.tuple(fc.nat(7), fc.integer({ min: 1, max: 8 })), { maxLength: 12 }),
        async (counts, sends) => {
          const store = redisFrames(redis, { prefix: freshPrefix() })
          const frames = framesOf('w', counts)
          await Promise.all(
            sends
              .filter(([from]) => from < frames.length)
              .map(([from, count]) => store.append(frames.slice(from, from + count))),
          )
          await store.append(frames)
          const stored = await store.read(undefined, 100)
          expect(stored.map(({ bytes }) => bytes)).toEqual(frames.map(({ bytes }) => bytes))
        },
      ),
      { numRuns: 60 },
    )
  })

  const openOwn = (): { redis: Redis; prefix: string; store: FrameStore } => {
    const redis = new Redis(server.url)
    closers.push(() => redis.disconnect())
    const prefix = freshPrefix()
    return { redis, prefix, store: redisFrames(redis, { prefix }) }
  }

  it('finds all of many frames of a person, and leaves nothing of removed frames', async () => {
    const { redis, prefix, store } = openOwn()
    const frames = framesOf('w', Array<number>(1_300).fill(1), ['alice', 'bob'])
    await store.append(frames)
    const placesOf = async (count: number): Promise<string[]> => {
      const places: string[] = []
      for (;;) {
        const page = await store.readPerson('alice', places.at(-1), count)
        places.push(...page.map(({ place }) => place))
        if (page.length < count) return places
      }
    }
    const all = await store.read(undefined, 2_000)
    const own = all.filter((_, index) => frames[index]?.people[0] === 'alice').map(({ place }) => place)
    expect(own).toHaveLength(650)
    expect(await placesOf(64)).toEqual(own)
    expect(await placesOf(1_000)).toEqual(own)
    // Frames that arrive between two pages are found too.
    const first = await store.readPerson('alice', undefined, 600)
    await store.append(framesOf('v', [1, 1], ['alice']))
    expect(await store.readPerson('alice', first.at(-1)?.place, 600)).toHaveLength(52)
    await store.removeStart(startAt(all[999]?.place ?? ''))
    expect((await store.read(undefined, 2_000)).slice(0, 300)).toEqual(all.slice(1_000))
    expect(await placesOf(64)).toHaveLength(152)
    await store.removeStart(startAt((await store.last()) ?? ''))
    expect(await store.read(undefined, 10)).toEqual([])
    const left = await redis.hkeys(`${prefix}{audit}:log`)
    expect(left.toSorted()).toEqual(['begin', 'removed', 'size', 'start', 'w:v', 'w:w'])
  })

  it('supports more people at once than a script can take as arguments', async () => {
    const { store } = openOwn()
    const people = Array.from({ length: 9_000 }, (_, index) => `person-${index}`)
    const frames = framesOf('w', Array<number>(30).fill(300), people)
    expect(await store.append(frames)).toBe(9_000)
    expect((await store.read(undefined, 100)).map(({ bytes }) => bytes)).toEqual(
      frames.map(({ bytes }) => bytes),
    )
    expect(await store.readPerson('person-8999', undefined, 10)).toHaveLength(1)
  })

  it('continues after a position whose frame was lost and whose number was reused', async () => {
    const { redis, prefix, store } = openOwn()
    await store.append(framesOf('w', [1, 1, 1, 1, 1, 1]))
    const before = await store.read(undefined, 10)
    const lost = before.at(-1)?.place ?? ''
    // As after a crash that has lost the last two.
    const time = before[3]?.place.split('-')[0] ?? ''
    await redis.hset(`${prefix}{audit}:log`, { size: `4 ${time}`, 'w:w': 4 })
    await new Promise((resolve) => setTimeout(resolve, 5))
    await store.append(framesOf('other', [1, 1, 1]))
    const after = await store.read(lost, 10)
    expect(after.map(({ place }) => place.split('-')[1])).toEqual(['5', '6', '7'])
    expect(after).toEqual((await store.read(undefined, 10)).slice(4))
  })

  it('needs the rights that docs/audit.md lists', async () => {
    const admin = new Redis(server.url)
    const writing = ['+eval', '+hget', '+hmget', '+hset', '+time']
    const rules = ['~*', 'resetchannels', '-@all', '+info']
    await admin.call('ACL', 'SETUSER', 'writer', 'on', '>pw', ...rules, ...writing)
    const writer = new Redis({ port: server.port, username: 'writer', password: 'pw' })
    closers.push(
      () => admin.disconnect(),
      () => writer.disconnect(),
    )
    const prefix = freshPrefix()
    await redisFrames(writer, { prefix }).append(framesOf('w', [3]))
    expect(await redisFrames(writer, { prefix }).head('w')).toBe(3)
    const removing = redisFrames(writer, { prefix }).forgetPerson('p')
    await expect(removing).rejects.toThrow('NOPERM')
    for (const right of writing) {
      await admin.call('ACL', 'SETUSER', 'writer', right.replace('+', '-'))
      const attempt = redisFrames(writer, { prefix: freshPrefix() })
      await expect(attempt.append(framesOf('w', [1])).then(() => attempt.head('w'))).rejects.toThrow(
        UnavailableError,
      )
      await admin.call('ACL', 'SETUSER', 'writer', right)
    }
  })

  it('refuses anything that is not a Redis client, and shows no URL', () => {
    expect(() => redisFrames('redis://:p4ssw0rd@host' as never)).toThrow(ConfigError)
    expect(() => redisFrames('redis://:p4ssw0rd@host' as never)).not.toThrow('p4ssw0rd')
    expect(() => redisFrames({ call: () => 1 } as never)).toThrow('redisFrames client')
  })

  it('reports an unreachable Redis without sending a command', async () => {
    const redis = new Redis(server.url, { lazyConnect: true })
    redis.on('error', () => undefined)
    await redis.connect()
    const ended = new Promise((resolve) => redis.once('end', resolve))
    redis.disconnect()
    await ended
    await expect(redisFrames(redis).head('w')).rejects.toThrow('Redis is not connected (audit)')
  })
})
