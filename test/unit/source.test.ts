import { afterEach, describe, expect, it } from '@jest/globals'
import {
  ConfigError,
  createPolicySource,
  memoryStore,
  UnavailableError,
  type PolicyStore,
  type StoredApp,
  type StoreListener,
} from 'portcullis'

const stored = (appId: string, revision = 1): StoredApp => ({ policy: { appId }, revision, keys: [] })

const unanswered: { answer(app: undefined): void }[] = []
afterEach(() => {
  for (const { answer } of unanswered.splice(0)) answer(undefined)
})

/** A store whose answers the test gives, in the order in which they were asked for. */
function scriptedStore() {
  const asked: { appId: string; answer(app: StoredApp | undefined): void; fail(): void }[] = []
  let listener: StoreListener | undefined
  const store: PolicyStore = {
    read: (appId) =>
      new Promise((answer, reject) => {
        asked.push({ appId, answer, fail: () => reject(new Error('connection lost')) })
        unanswered.push({ answer })
      }),
    watch(given) {
      listener = given
      return () => (listener = undefined)
    },
  }
  return { store, asked, listener: () => listener as StoreListener, watched: () => listener !== undefined }
}

describe('createPolicySource', () => {
  it('answers from memory, without a promise, after the first read', async () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store })
    expect(source.peek('a')).toBeUndefined()
    const loading = source.load('a')
    asked[0]?.answer(stored('a'))
    const app = await loading
    expect(app).toMatchObject({ appId: 'a', revision: 1 })
    expect(source.peek('a')).toBe(app)
    expect(asked).toHaveLength(1)
  })

  it('makes one read of any number of requests for a cold app', async () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store })
    const loads = Array.from({ length: 10_000 }, () => source.load('a'))
    expect(asked).toHaveLength(1)
    asked[0]?.answer(stored('a'))
    expect(new Set(await Promise.all(loads)).size).toBe(1)
  })

  it('does not remember a failure', async () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store })
    const first = source.load('a')
    asked[0]?.fail()
    await expect(first).rejects.toBeInstanceOf(UnavailableError)
    expect(source.peek('a')).toBeUndefined()
    const second = source.load('a')
    asked[1]?.answer(stored('a'))
    await expect(second).resolves.toMatchObject({ appId: 'a' })
  })

  it('tells "there is no such app" from "could not look", and remembers the first for a while', async () => {
    let now = 0
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store, unknownFor: 50, now: () => now })
    const load = source.load('a')
    asked[0]?.answer(undefined)
    await expect(load).resolves.toBeNull()
    now = 49
    expect(source.peek('a')).toBeNull()
    now = 50
    expect(source.peek('a')).toBeUndefined()
  })

  it('never asks the store for a text that cannot be an app id', () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store })
    for (const text of ['', 'a b', 'a{b}', '../a', 'a'.repeat(129), 'ä', 'a\n'])
      expect(source.peek(text)).toBeNull()
    expect(asked).toHaveLength(0)
  })

  it('uses a policy for at most maxStale after it was last read', async () => {
    let now = 0
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store, maxStale: 60_000, now: () => now })
    const load = source.load('a')
    asked[0]?.answer(stored('a'))
    await load
    now = 60_000
    expect(source.peek('a')).toMatchObject({ revision: 1 })
    now = 60_001
    expect(source.peek('a')).toBeUndefined()
  })

  it('counts age from when a read was begun, since the answer may be as old as that', async () => {
    let now = 0
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store, maxStale: 100, revalidateAfter: 100, now: () => now })
    const load = source.load('a')
    now = 90
    asked[0]?.answer(stored('a'))
    await load
    now = 101
    expect(source.peek('a')).toBeUndefined()
  })

  it('reads again in the background once revalidateAfter has passed without a feed, and serves meanwhile', async () => {
    let now = 0
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store: { read: store.read }, revalidateAfter: 1_000, now: () => now })
    const load = source.load('a')
    asked[0]?.answer(stored('a'))
    await load
    now = 1_001
    expect(source.peek('a')).toMatchObject({ revision: 1 })
    expect(asked).toHaveLength(2)
    asked[1]?.answer(stored('a', 2))
    await new Promise(setImmediate)
    expect(source.peek('a')).toMatchObject({ revision: 2 })
  })

  it('keeps serving within maxStale when the read in the background fails', async () => {
    let now = 0
    const errors: unknown[] = []
    const { store, asked } = scriptedStore()
    const source = createPolicySource({
      store: { read: store.read },
      now: () => now,
      onError: (error) => errors.push(error),
    })
    const load = source.load('a')
    asked[0]?.answer(stored('a'))
    await load
    now = 30_000
    source.peek('a')
    asked[1]?.fail()
    await new Promise(setImmediate)
    expect(source.peek('a')).toMatchObject({ revision: 1 })
    expect(errors).toHaveLength(1)
  })

  it('drops a policy when the store announces a change', async () => {
    const { store, asked, listener } = scriptedStore()
    const source = createPolicySource({ store })
    const load = source.load('a')
    asked[0]?.answer(stored('a'))
    await load
    listener().changed('a')
    expect(source.peek('a')).toBeUndefined()
  })

  it('reads once more when the app changed during a read, so that an old answer is never remembered', async () => {
    const { store, asked, listener } = scriptedStore()
    const source = createPolicySource({ store })
    const load = source.load('a')
    listener().changed('a')
    asked[0]?.answer(stored('a', 1))
    await new Promise(setImmediate)
    expect(asked).toHaveLength(2)
    asked[1]?.answer(stored('a', 2))
    await expect(load).resolves.toMatchObject({ revision: 2 })
    expect(source.peek('a')).toMatchObject({ revision: 2 })
  })

  it('drops everything when the feed is whole again, for changes may have been missed', async () => {
    const { store, asked, listener } = scriptedStore()
    const source = createPolicySource({ store })
    const load = source.load('a')
    asked[0]?.answer(stored('a'))
    await load
    listener().broken()
    expect(source.status().feed).toBe('broken')
    expect(source.peek('a')).toMatchObject({ revision: 1 })
    listener().restored()
    expect(source.status().feed).toBe('whole')
    expect(source.peek('a')).toBeUndefined()
  })

  it('gives up a read that hangs, and lets a later one succeed', async () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store, readTimeout: 20 })
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
    const again = source.load('a')
    asked[1]?.answer(stored('a'))
    await expect(again).resolves.toMatchObject({ appId: 'a' })
  })

  const unreadable: [string, () => Promise<StoredApp | undefined>][] = [
    [
      'a document that is refused',
      async () => ({ policy: { appId: 'a', serverOnly: {} }, revision: 1, keys: [] }),
    ],
    ['a document of another app', async () => stored('b')],
    [
      'keys that are refused',
      async () => ({ policy: { appId: 'a' }, revision: 1, keys: [{ id: 'k' }] as never }),
    ],
    ['null', async () => null as never],
    ['a text', async () => 'x' as never],
    [
      'a synchronous throw',
      () => {
        throw new Error('boom')
      },
    ],
  ]
  for (const [what, read] of unreadable) {
    it(`is unavailable, and neither unknown nor open, when the store gives ${what}`, async () => {
      const source = createPolicySource({ store: { read } })
      await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
      expect(source.peek('a')).toBeUndefined()
      await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
    })
  }

  it('holds at most maxApps apps and 10,000 unknown ids', async () => {
    const source = createPolicySource({
      store: { read: async (appId) => (appId.startsWith('known') ? stored(appId) : undefined) },
      maxApps: 3,
    })
    for (let index = 0; index < 10; index += 1) await source.load(`known${index}`)
    expect(source.status().apps).toBe(3)
    for (let index = 0; index < 20_000; index += 1) await source.load(`x${index}`)
    expect(source.peek('x0')).toBeUndefined()
    expect(source.peek('x19999')).toBeNull()
    expect(source.status().apps).toBe(3)
  })

  it('admits what a named list of the store holds, and nobody for a list that it does not have', async () => {
    const policy = { appId: 'a', ipWhitelist: { mode: 'enforce', lists: ['office', 'gone'] } }
    const store: PolicyStore = {
      read: async () => ({ policy, revision: 1, keys: [] }),
      readList: async (name) => (name === 'office' ? ['203.0.113.0/24'] : undefined),
    }
    const ranges = (await createPolicySource({ store }).load('a'))?.policy.ipWhitelist?.ranges
    expect(ranges?.size).toBe(1)
    const without = await createPolicySource({ store: { read: store.read } }).load('a')
    expect(without?.policy.ipWhitelist?.ranges.size).toBe(0)
    const failing = createPolicySource({
      store: { ...store, readList: async () => Promise.reject(new Error('down')) },
    })
    await expect(failing.load('a')).rejects.toBeInstanceOf(UnavailableError)
    const wrong = createPolicySource({ store: { ...store, readList: async () => ['10.0.0.1/8'] } })
    await expect(wrong.load('a')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('stops listening when it is closed', () => {
    const { store, watched } = scriptedStore()
    const source = createPolicySource({ store })
    expect(watched()).toBe(true)
    source.close()
    expect(watched()).toBe(false)
  })

  it('finds the apps of an origin, and looks once for many', async () => {
    const memory = memoryStore([
      { policy: { appId: 'a', domainProtect: { mode: 'enforce', domains: ['https://a.example.org'] } } },
      { policy: { appId: 'b', domainProtect: { mode: 'enforce', domains: ['https://*.example.org'] } } },
    ])
    let asked = 0
    const source = createPolicySource({
      store: {
        ...memory,
        appsByOrigin: (origin) => ((asked += 1), memory.appsByOrigin?.(origin) ?? Promise.resolve([])),
      },
    })
    const found = await Promise.all([
      source.appsByOrigin('https://a.example.org'),
      source.appsByOrigin('https://a.example.org'),
    ])
    expect(found[0]?.map(({ appId }) => appId).sort()).toEqual(['a', 'b'])
    await source.appsByOrigin('https://a.example.org')
    expect(asked).toBe(1)
    await memory.write(
      { policy: { appId: 'c', domainProtect: { mode: 'enforce', domains: ['https://a.example.org'] } } },
      0,
    )
    expect((await source.appsByOrigin('https://a.example.org')).map(({ appId }) => appId).sort()).toEqual([
      'a',
      'b',
      'c',
    ])
  })

  const wrong: [object, RegExp][] = [
    [{}, /`createPolicySource.store` must be a policy store.*got undefined/],
    [{ store: {} }, /`createPolicySource.store`/],
    [
      { store: memoryStore(), maxStale: -1 },
      /`createPolicySource.maxStale` must be a whole number of milliseconds of at least 0, got -1/,
    ],
    [{ store: memoryStore(), maxStale: '30s' }, /got "30s"/],
    [{ store: memoryStore(), maxStale: Number.NaN }, /got NaN/],
    [
      { store: memoryStore(), ttl: 5 },
      /`createPolicySource.ttl` must be left out: the options are store, maxStale/,
    ],
    [{ store: memoryStore(), maxStale: 10, revalidateAfter: 20 }, /at most `maxStale` \(10\), got 20/],
  ]
  for (const [options, message] of wrong) {
    it(`refuses ${String(message)} at construction`, () => {
      expect(() => createPolicySource(options as never)).toThrow(ConfigError)
      expect(() => createPolicySource(options as never)).toThrow(message)
    })
  }
})
