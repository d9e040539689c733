import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { changeKeys, PolicyError, type AppKey } from 'portcullis'
import { redisStore, type RedisClient, type RedisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { RELEASE_KEY } from '../../../src/redis/scripts.ts'
import { freshPrefix, sharedRedisUrl } from '../../support/redis.ts'

const KEY: AppKey = { id: 'k', algorithm: 'hmac-sha256', secret: randomBytes(32).toString('base64') }
const ring = (id: string) => ({ id, key: randomBytes(32) })
const [oldKey, newKey] = [ring('old'), ring('new')]
const client = new Redis(sharedRedisUrl(), { disconnectTimeout: 50 })
afterAll(() => client.disconnect())

function open(prefix: string, keys = [oldKey], redis: RedisClient = client): RedisStore {
  return redisStore(redis, { prefix, vault: createVault({ keys }) })
}

/** A client whose process is killed before it sends the script that writes the app. */
function killedBeforeWriting(): RedisClient {
  return {
    status: 'ready',
    duplicate: () => client.duplicate(),
    call: (command, ...args) =>
      String(args[0]).includes('RPUSH') ? Promise.reject(new Error('killed')) : client.call(command, ...args),
  }
}

const withKey = (appId: string) => ({ policy: { appId }, keys: [KEY] })

/** Makes every claim with the prefix as old as one left by a crash. */
async function makeOld(prefix: string): Promise<number> {
  const names = await client.keys(`${prefix}key:*`)
  for (const name of names) {
    const [appId, revision] = String(await client.get(name)).split(' ')
    await client.set(name, `${appId} ${revision} ${Date.now() - 600_000} old`)
  }
  return names.length
}

describe('the keys of apps in Redis', () => {
  it('are claimed by a fingerprint that reveals nothing about them', async () => {
    const prefix = freshPrefix()
    await open(prefix).write(withKey('a'), 0)
    const names = await client.keys(`${prefix}key:*`)
    expect(names).toHaveLength(1)
    expect(names[0]).toMatch(/key:\{old\.[A-Za-z0-9_-]{43}\}$/)
    expect(await client.get(names[0] ?? '')).toMatch(/^a 1 \d+ \S+$/)
  })

  it('are released only by their app, and not if it has claimed them again since', async () => {
    const name = `${freshPrefix()}key:{x}`
    for (const [claim, appId, revision, isLeft] of [
      ['a 2 0 x', 'a', 2, false],
      ['a 2 0 x', 'a', 3, false],
      ['a 2 0 x', 'a', 1, true],
      ['b 2 0 x', 'a', 3, true],
      ['ab 2 0 x', 'a', 3, true],
    ] as const) {
      await client.set(name, claim)
      await client.call('EVAL', RELEASE_KEY, 1, name, appId, revision)
      expect([claim, appId, revision, (await client.get(name)) === claim]).toEqual([
        claim,
        appId,
        revision,
        isLeft,
      ])
    }
  })

  it('are released at once when their app is removed or loses them', async () => {
    const prefix = freshPrefix()
    const store = open(prefix)
    await store.write(withKey('a'), 0)
    await store.remove('a', 1)
    expect(await client.keys(`${prefix}key:*`)).toEqual([])
    await store.write(withKey('b'), 0)
    await changeKeys(store, 'b', { revoke: ['k'] })
    await store.write(withKey('c'), 0)
    await expect(store.write(withKey('a'), 0)).rejects.toThrow(/app `c`/)
  })

  it('block nobody forever if a process is killed between claim and write', async () => {
    const prefix = freshPrefix()
    await expect(open(prefix, [oldKey], killedBeforeWriting()).write(withKey('a'), 0)).rejects.toThrow()
    const store = open(prefix)
    // The process may only be slow.
    await expect(store.write(withKey('b'), 0)).rejects.toThrow(PolicyError)
    expect(await makeOld(prefix)).toBe(1)
    await store.write(withKey('b'), 0)
    await expect(store.write(withKey('a'), 0)).rejects.toThrow(/app `b`/)
  })

  it('remain claimed by their app, however old the claim is', async () => {
    const prefix = freshPrefix()
    const store = open(prefix)
    await store.write(withKey('a'), 0)
    expect(await makeOld(prefix)).toBe(1)
    await expect(store.write(withKey('b'), 0)).rejects.toThrow(/app `a`/)
    await store.write({ policy: { appId: 'a', name: 'n' } }, 1)
    await expect(store.write(withKey('b'), 0)).rejects.toThrow(/app `a`/)
  })

  it('remain claimed by their app when the vault is rotated, for new and old writers', async () => {
    const prefix = freshPrefix()
    await open(prefix).write(withKey('a'), 0)
    const [rotated, lagging] = [open(prefix, [newKey, oldKey]), open(prefix, [oldKey, newKey])]
    await expect(rotated.write(withKey('b'), 0)).rejects.toThrow(/app `a`/)
    await rotated.write(withKey('a'), 1)
    for (const store of [rotated, lagging])
      await expect(store.write(withKey('b'), 0)).rejects.toThrow(/app `a`/)
    expect(await client.keys(`${prefix}key:*old*`)).toEqual([])
    await makeOld(prefix)
    await expect(open(prefix, [newKey]).write(withKey('b'), 0)).rejects.toThrow(/app `a`/)
  })
})
