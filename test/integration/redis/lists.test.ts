import { randomUUID } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { createPolicySource, UnavailableError, UnreadableError, type ListEntry } from 'portcullis'
import { redisStore, type RedisStore } from 'portcullis/redis'
import { startRedis, type RedisServer } from '../../support/redis.ts'

let server: RedisServer
let client: Redis
let store: RedisStore
let prefix: string

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

beforeEach(() => {
  client = new Redis(server.url)
  prefix = `test:${randomUUID()}:`
  store = redisStore(client, { prefix })
})
afterEach(() => {
  store.close()
  client.disconnect()
})

async function entriesOf(name: string): Promise<ListEntry[]> {
  const entries: ListEntry[] = []
  for await (const piece of (await store.readList(name))?.chunks() ?? []) entries.push(...piece)
  return entries
}

describe('a named list in Redis', () => {
  const many = Array.from({ length: 6_000 }, (_, index) => ({ range: `10.0.${index >> 8}.${index & 255}` }))
  const packed = (text: string): string => deflateRawSync(text).toString('base64')
  const chunk = async (index: number): Promise<string> =>
    `${prefix}list:{bad}:${await client.hget(`${prefix}list:{bad}`, 'version')}:${index}`

  it('keeps every chunk of the current list forever, and those of the previous list for a minute', async () => {
    await store.writeList('bad', many, 0)
    const before = await client.keys(`${prefix}list:{bad}:*`)
    expect(before.length).toBeGreaterThan(1)
    for (const name of before) expect(await client.ttl(name)).toBe(-1)
    await store.writeList('bad', [{ range: '192.0.2.1' }], 1)
    for (const name of before) expect(await client.ttl(name)).toBeGreaterThan(0)
    const after = (await client.keys(`${prefix}list:{bad}:*`)).filter((name) => !before.includes(name))
    expect(after).toHaveLength(1)
    expect(await client.ttl(after[0] ?? '')).toBe(-1)
  })

  it('is not used if a chunk was lost after its upload', async () => {
    await store.writeList('bad', [{ range: '192.0.2.1' }], 0)
    const call = async (command: string, ...args: (string | number)[]): Promise<unknown> => {
      if (String(args[0]).includes('PERSIST')) {
        const [lost] = (await client.keys(`${prefix}list:{bad}:*:1`)).toSorted()
        await client.del(lost ?? '')
      }
      return client.call(command, ...args)
    }
    const losing = redisStore({ status: 'ready', duplicate: () => client.duplicate(), call }, { prefix })
    await expect(losing.writeList('bad', many, 1)).rejects.toThrow(UnavailableError)
    expect(await entriesOf('bad')).toEqual([{ range: '192.0.2.1' }])
    expect((await store.readList('bad'))?.revision).toBe(1)
  })

  const damages: [string, () => Promise<unknown>][] = [
    [
      'a chunk holds fewer entries than were written',
      async () => client.set(await chunk(1), packed('10.0.0.1\n')),
    ],
    ['a chunk is cut off', async () => client.setrange(await chunk(1), 100, '!'.repeat(9_000))],
    ['a line is cut off', async () => client.set(await chunk(1), packed('10.0.0.1'))],
    [
      'a chunk inflates without end',
      async () => client.set(await chunk(1), packed('10.0.0.1\n'.repeat(1e6))),
    ],
    [
      'what stands behind a range is no JSON',
      async () => client.set(await chunk(1), packed('10.0.0.1\t{\n')),
    ],
    [
      'what stands behind a range is no text',
      async () => client.set(await chunk(1), packed('10.0.0.1\t[1]\n')),
    ],
    ['the number of chunks is lost', () => client.hdel(`${prefix}list:{bad}`, 'chunks')],
    ['the number of entries is another', () => client.hset(`${prefix}list:{bad}`, 'size', '5')],
  ]
  for (const [what, damage] of damages) {
    it(`is unreadable, and admits nobody whom it may refuse, if ${what}`, async () => {
      const section = { mode: 'enforce', ranges: ['0.0.0.0/0'], denyLists: ['bad'] }
      await store.write({ policy: { appId: 'a', ipWhitelist: section } }, 0)
      await store.writeList('bad', many, 0)
      expect(await entriesOf('bad')).toHaveLength(6_000)
      await damage()
      await expect(entriesOf('bad')).rejects.toBeInstanceOf(UnreadableError)
      const source = createPolicySource({ store })
      await expect(source.load('a')).rejects.toBeInstanceOf(UnreadableError)
      source.close()
    })
  }

  it('is considered replaced, and not damaged, if a chunk disappears while it is read', async () => {
    await store.writeList('bad', many, 0)
    const read = await store.readList('bad')
    await client.del(await chunk(1))
    const reading = (async () => {
      for await (const _ of read?.chunks() ?? []);
    })()
    await expect(reading).rejects.toThrow(/replaced while it was read/)
    await expect(reading).rejects.not.toBeInstanceOf(UnreadableError)
  })

  it('stores notes of any length and script apart from its chunks', async () => {
    const note = '\t"語\n'.repeat(51)
    const entries = many
      .slice(0, 500)
      .map((entry, index) => ({ ...entry, note: `${note}${index}`, owner: note }))
    await store.writeList('long', entries, 0)
    expect(await entriesOf('long')).toEqual(entries)
  })
})
