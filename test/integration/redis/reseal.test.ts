import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { people } from 'portcullis/audit'
import { redisPeople, redisPersonKeys, redisStore, type RedisStore } from 'portcullis/redis'
import { createFieldVault, createVault, keysInUse, reseal, type Vault } from 'portcullis/vault'
import { createKeyspace } from '../../../src/redis/keyspace.ts'
import { freshPrefix, PATIENT, sharedRedisUrl } from '../../support/redis.ts'

const a = { id: 'key-a', key: randomBytes(32) }
const b = { id: 'key-b', key: randomBytes(32) }
const before = createVault({ keys: [a] })
const both = createVault({ keys: [b, a] })
const after = createVault({ keys: [b, { id: 'key-a', state: 'destroyed' }] })

let redis: Redis
beforeAll(() => {
  redis = new Redis(sharedRedisUrl(), { disconnectTimeout: 50 })
})
afterAll(() => redis.disconnect())

const appKey = (id: string) => ({
  id,
  algorithm: 'hmac-sha256' as const,
  secret: randomBytes(32).toString('base64'),
})

/** All data with a prefix, as text. */
async function contents(prefix: string): Promise<string> {
  const found: string[] = []
  for (const key of await redis.keys(`${prefix}*`)) {
    const type = await redis.type(key)
    const value =
      type === 'string'
        ? await redis.get(key)
        : type === 'hash'
          ? await redis.hgetall(key)
          : type === 'list'
            ? await redis.lrange(key, 0, -1)
            : ''
    found.push(`${key} ${JSON.stringify(value)}`)
  }
  return found.join('\n')
}

const stores: RedisStore[] = []
afterAll(() => stores.forEach((store) => store.close()))
function open(prefix: string, vault: Vault): RedisStore {
  const store = redisStore(redis, { prefix, vault, commandTimeout: PATIENT })
  stores.push(store)
  return store
}

describe('Redis whose vault has a new key', () => {
  it('is resealed: keys of apps, notes, lists and people are readable as before, with only the new key', async () => {
    const prefix = freshPrefix()
    const store = open(prefix, before)
    const keys = Array.from({ length: 130 }, (_, at) => appKey(`k${at}`))
    await Promise.all(
      keys.map((key, at) =>
        store.write({ policy: { appId: `app-${at}` }, keys: [key] }, 0, { author: 'ada' }),
      ),
    )
    await store.write({ policy: { appId: 'app-7', name: 'x' } }, 1, { author: 'bob', note: 'second' })
    await store.write({ policy: { appId: 'gone' }, keys: [appKey('gone')] }, 0, { author: 'eve' })
    await store.remove('gone', 1, { author: 'eve' })
    await store.writeList('office', [{ range: '192.0.2.1', note: 'desk' }], 0, { author: 'eve' })
    const fields = (vault: Vault) =>
      createFieldVault({ vault, people: redisPersonKeys(redis, { prefix }), region: 'europe' })
    const sealed = await fields(before).seal('ada', 'email', 'ada@example.org')
    const audited = (vault: Vault) => people({ store: redisPeople(redis, { prefix }), vault })
    await audited(before).named([{ kind: 'field', person: 'name-of-ada' } as never])
    const [pseudonym] = await audited(before).pseudonymsOf('name-of-ada')
    const seen = await Promise.all([store.history('app-7'), store.history('gone'), store.lists()])

    const rotating = open(prefix, both)
    const holders = [rotating, fields(both), audited(both)]
    const inUse = await keysInUse({ vault: both, holders })
    expect([inUse.done, inUse.sealedBy]).toEqual([false, { 'key-a': 130 + 134 + 1 + 2 }])
    const report = await reseal({ vault: both, holders })
    expect(report.places.map(({ name, resealed }) => [name, resealed])).toEqual([
      ['keys of apps', 130],
      ['change notes', 134],
      ['named lists', 1],
      ['keys of people', 1],
      ['people of the audit', 1],
    ])
    expect([report.done, report.sealedBy]).toEqual([true, { 'key-b': 267 }])
    expect(await contents(prefix)).not.toContain('key-a')
    // A second run has nothing to do.
    expect((await reseal({ vault: both, holders })).places.map(({ resealed }) => resealed)).toEqual([
      0, 0, 0, 0, 0,
    ])

    const rotated = open(prefix, after)
    expect((await rotated.read('app-7'))?.keys).toEqual([keys[7]])
    expect(await Promise.all([rotated.history('app-7'), rotated.history('gone'), rotated.lists()])).toEqual(
      seen,
    )
    for await (const entries of (await rotated.readList('office'))?.chunks() ?? [])
      expect(entries).toMatchObject([{ note: 'desk' }])
    expect(await fields(after).open('ada', 'email', sealed)).toBe('ada@example.org')
    expect(await audited(after).pseudonymsOf('name-of-ada')).toEqual([pseudonym])
    // The fingerprints were moved too, so no other app can get an existing key.
    await expect(rotated.write({ policy: { appId: 'other' }, keys: [keys[7] as never] }, 0)).rejects.toThrow(
      'of app `app-7`',
    )
    expect(await rotated.write({ policy: { appId: 'app-7' }, keys: [] }, 2)).toBe(3)
    expect(await rotated.write({ policy: { appId: 'other' }, keys: [keys[7] as never] }, 0)).toBe(1)
  })

  it('keeps what is written during the reseal', async () => {
    const prefix = freshPrefix()
    const store = open(prefix, both)
    const old = open(prefix, before)
    const [first, second] = [appKey('first'), appKey('second')]
    for (let at = 0; at < 20; at += 1)
      await old.write({ policy: { appId: `app-${at}` }, keys: [{ ...first, id: `first-${at}` }] }, 0)
    const [report] = await Promise.all([
      reseal({ vault: both, holders: [store] }),
      ...Array.from({ length: 20 }, (_, at) =>
        // A process that does not have the new key yet.
        old.write({ policy: { appId: `app-${at}` }, keys: [{ ...second, id: `second-${at}` }] }, 1),
      ),
    ])
    expect(report.places[0]?.unreadable).toEqual({})
    expect((await reseal({ vault: both, holders: [store] })).done).toBe(true)
    const rotated = open(prefix, after)
    for (let at = 0; at < 20; at += 1)
      expect((await rotated.read(`app-${at}`))?.keys).toEqual([{ ...second, id: `second-${at}` }])
    expect(await contents(prefix)).not.toContain('key-a')
  })

  it('replaces only the string that was read, once, and keeps the lifetime of an old part of a list', async () => {
    const prefix = freshPrefix()
    const old = open(prefix, before)
    await old.write({ policy: { appId: 'app' }, keys: [appKey('k')] }, 0, { author: 'ada' })
    await old.writeList('office', [{ range: '192.0.2.1' }], 0, { author: 'ada' })
    const puts: [place: string, first: number, second: number][] = []
    let parts: readonly string[] = []
    for (const place of open(prefix, both).sealedPlaces()) {
      const batches = []
      for await (const batch of place.batches()) if (batch.entries.length > 0) batches.push(batch)
      if (place.name === 'named lists') {
        // The read part belongs to a version that is replaced now, and expires.
        parts = await redis.keys(`${prefix}*office*:0`)
        await old.writeList('office', [{ range: '192.0.2.2' }], 1, { author: 'ada' })
      }
      for (const batch of batches) {
        const changes = batch.entries.map((entry) => ({
          entry,
          after: both.reseal(entry.sealed, entry.context ?? ''),
        }))
        puts.push([place.name, await batch.replace(changes), await batch.replace(changes)])
      }
    }
    expect(puts).toEqual([
      ['keys of apps', 1, 0],
      ['change notes', 1, 0],
      ['change notes', 1, 0],
      ['named lists', 1, 0],
    ])
    expect(parts).toHaveLength(1)
    expect(await redis.pttl(parts[0] ?? '')).toBeGreaterThan(0)
  })

  it('has every part of a large list resealed', async () => {
    const prefix = freshPrefix()
    const note = 'desk '.repeat(10)
    const entries = Array.from({ length: 8_000 }, (_, at) => ({
      range: `10.0.${at >> 8}.${at & 255}`,
      note,
    }))
    await open(prefix, before).writeList('office', entries, 0)
    const report = await reseal({ vault: both, holders: [open(prefix, both)] })
    expect(report.places[2]?.resealed).toBeGreaterThan(8)
    expect(report.done).toBe(true)
    expect(await contents(prefix)).not.toContain('key-a')
    let count = 0
    for await (const part of (await open(prefix, after).readList('office'))?.chunks() ?? [])
      count += part.length
    expect(count).toBe(entries.length)
  })

  it('leaves two apps their keys even if both have the same one, as was possible in the past', async () => {
    const prefix = freshPrefix()
    const shared = appKey('shared')
    const old = open(prefix, before)
    await old.write({ policy: { appId: 'one' }, keys: [shared] }, 0)
    await old.write({ policy: { appId: 'two' }, keys: [appKey('other')] }, 0)
    const planted = before.seal(JSON.stringify([shared]), 'app-keys:two')
    await redis.hset(createKeyspace(prefix).secrets('two'), 'sealed', planted)
    expect((await reseal({ vault: both, holders: [open(prefix, both)] })).done).toBe(true)
    const rotated = open(prefix, after)
    for (const app of ['one', 'two']) expect((await rotated.read(app))?.keys).toEqual([shared])
  })

  it('finds only the people of its prefix, whatever characters it contains', async () => {
    const prefix = `${freshPrefix()}*?[a]\\:`
    const [own, other] = [
      redisPersonKeys(redis, { prefix }),
      redisPersonKeys(redis, { prefix: freshPrefix() }),
    ]
    for (let at = 0; at < 1_500; at += 1) await own.add(`p${at}`, 's', 1)
    await other.add('q', 's', 1)
    const found = new Set<string>()
    for await (const names of own.names()) for (const name of names) found.add(name)
    expect(found.size).toBe(1_500)
    expect(found.has('p7')).toBe(true)
    expect(await own.replace('p7', 's', 't')).toBe(true)
    expect(await own.replace('p7', 's', 't')).toBe(false)
    expect(await own.erase('p7')).toBe(1)
    expect(await own.replace('p7', 't', 'u')).toBe(false)
    expect(await own.read('p7')).toEqual([])
  })

  it('finds them with a client that has its own key prefix', async () => {
    const client = new Redis(sharedRedisUrl(), { disconnectTimeout: 50, keyPrefix: freshPrefix() })
    const own = redisPersonKeys(client, { prefix: 'x:' })
    await own.add('p', 's', 1)
    const found: string[] = []
    for await (const names of own.names()) found.push(...names)
    expect(found).toEqual(['p'])
    client.disconnect()
  })
})
