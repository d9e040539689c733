import { afterEach, describe, expect, it } from '@jest/globals'
import { ConfigError, createPolicySource, memoryStore, UnavailableError, UnreadableError } from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import type { StoredApp, StoreListener } from 'portcullis/store'

const stored = (appId: string, revision = 1): StoredApp => ({ policy: { appId }, revision, keys: [] })

const unanswered: { answer(app: undefined): void }[] = []
afterEach(() => {
  for (const { answer } of unanswered.splice(0)) answer(undefined)
})

/** A store whose reads the test answers, in order. */
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

  it('reads once for any number of requests for a cold app', async () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store })
    const loads = Array.from({ length: 10_000 }, () => source.load('a'))
    expect(asked).toHaveLength(1)
    asked[0]?.answer(stored('a'))
    expect(new Set(await Promise.all(loads)).size).toBe(1)
  })

  it('does not cache a failure', async () => {
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

  it('distinguishes "no such app" from "unavailable", and caches the first for a while', async () => {
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

  it('never reads an invalid app id from the store', () => {
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

  it('counts age from the start of a read, because the answer may be that old', async () => {
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

  it('reads again in the background after revalidateAfter without a feed, and serves meanwhile', async () => {
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

  it('keeps serving within maxStale if the background read fails', async () => {
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

  it('reads again if the app changed during a read, so that an old answer is never cached', async () => {
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

  it('drops everything when the feed is restored, because changes may have been missed', async () => {
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

  it('gives up a hanging read, and lets a later one succeed', async () => {
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
    it(`is unavailable, and neither unknown nor open, if the store returns ${what}`, async () => {
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

  it('stops listening when it is closed', () => {
    const { store, watched } = scriptedStore()
    const source = createPolicySource({ store })
    expect(watched()).toBe(true)
    source.close()
    expect(watched()).toBe(false)
  })

  it('finds the apps of an origin, with one read for many requests', async () => {
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

  it('keeps everything if the restored feed says that nothing was missed', async () => {
    const { store, asked, listener } = scriptedStore()
    const source = createPolicySource({ store })
    const load = source.load('a')
    asked[0]?.answer(stored('a'))
    await load
    listener().broken()
    listener().restored(true)
    expect(source.peek('a')).toMatchObject({ revision: 1 })
  })

  describe('an older revision', () => {
    async function loaded(revision: number, options: object = {}) {
      const scripted = scriptedStore()
      const errors: Error[] = []
      const source = createPolicySource({
        store: scripted.store,
        onError: (error) => errors.push(error),
        ...options,
      })
      const load = source.load('a')
      scripted.asked[0]?.answer(stored('a', revision))
      await load
      return { ...scripted, source, errors }
    }
    const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30))

    it('is not accepted instead of the announced one: the source reads again until it gets that', async () => {
      const { source, asked, listener } = await loaded(5)
      listener().changed('a', 6)
      const load = source.load('a')
      asked[1]?.answer(stored('a', 5))
      await settled()
      expect(asked).toHaveLength(3)
      asked[2]?.answer(stored('a', 6))
      await expect(load).resolves.toMatchObject({ revision: 6 })
    })

    it('never replaces a newer one, and is refused if the store insists', async () => {
      const { source, listener, store } = await loaded(5)
      listener().changed('a')
      store.read = async () => stored('a', 4)
      await expect(source.load('a')).rejects.toThrow(/older revision/)
      expect(source.peek('a')).toBeUndefined()
    })

    it('does not replace a fresh newer one that the store lost in a gap of the feed, and is reported', async () => {
      const { source, listener, store, errors } = await loaded(6)
      store.read = async () => stored('a', 4)
      listener().restored()
      await expect(source.load('a')).resolves.toMatchObject({ revision: 6 })
      expect(source.peek('a')).toMatchObject({ revision: 6 })
      expect(String(errors)).toContain('lost a revision')
      store.read = async () => stored('a', 5)
      listener().changed('a', 5)
      await expect(source.load('a')).resolves.toMatchObject({ revision: 5 })
    })

    it('is used when the newer one is too old', async () => {
      let now = 0
      const { source, store } = await loaded(6, { maxStale: 1_000, now: () => now })
      store.read = async () => stored('a', 4)
      now = 1_001
      await expect(source.load('a')).resolves.toMatchObject({ revision: 4 })
    })
  })

  it('answers even if the app changes endlessly, and caches only current revisions', async () => {
    let revision = 1
    const { store, listener } = scriptedStore()
    store.read = async () => {
      const read = stored('a', revision)
      await Promise.resolve()
      revision += 1
      listener().changed('a', revision)
      return read
    }
    const source = createPolicySource({ store })
    const app = await source.load('a')
    expect(app).not.toBeNull()
    expect(source.peek('a')).toBeUndefined()
  })

  it('reuses matchers of unchanged sections, and the whole app if nothing changed', async () => {
    const memory = memoryStore()
    const policy = (name: string, domains: string[]) => ({
      appId: 'a',
      name,
      ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] },
      domainProtect: { mode: 'enforce', domains },
      returnUrlGuard: { mode: 'enforce', urls: ['https://a.example/'] },
    })
    await memory.write({ policy: policy('one', ['https://a.example']) }, 0)
    const source = createPolicySource({ store: { read: memory.read }, maxStale: 0 })
    const first = await source.load('a')
    expect(await source.load('a')).toBe(first)
    await memory.write({ policy: policy('two', ['https://b.example']) }, 1)
    const second = await source.load('a')
    expect(second?.revision).toBe(2)
    expect(second?.policy.ipWhitelist?.ranges).toBe(first?.policy.ipWhitelist?.ranges)
    expect(second?.policy.ipWhitelist?.deny).toBe(first?.policy.ipWhitelist?.deny)
    expect(second?.policy.returnUrlGuard?.urls).toBe(first?.policy.returnUrlGuard?.urls)
    expect(second?.policy.domainProtect?.domains).not.toBe(first?.policy.domainProtect?.domains)
  })

  it('uses changed keys even without a new revision, as in a file that is edited by hand', async () => {
    const key = { id: 'k', algorithm: 'hmac-sha256' as const, secret: 'A'.repeat(43) + '=' }
    let keys: readonly (typeof key)[] = []
    const source = createPolicySource({
      store: { read: async () => ({ policy: { appId: 'a' }, revision: 1, keys }) },
      maxStale: 0,
    })
    await source.load('a')
    keys = [key]
    expect((await source.load('a'))?.keys).toHaveLength(1)
  })

  describe('a store that fails', () => {
    async function failing(options: object = {}) {
      let now = 0
      let reads = 0
      let down = true
      const store: PolicyStore = {
        read: async (appId) => {
          reads += 1
          if (down) throw new Error('down')
          return stored(appId)
        },
      }
      const errors: Error[] = []
      const source = createPolicySource({
        store,
        now: () => now,
        onError: (error) => errors.push(error),
        ...options,
      })
      for (let index = 0; index < 5; index += 1)
        await expect(source.load(`app-${index}`)).rejects.toBeInstanceOf(UnavailableError)
      return {
        source,
        errors,
        reads: () => reads,
        repair: () => (down = false),
        pass: (milliseconds: number) => (now += milliseconds),
      }
    }

    it('is not read for half a second after five failures, and nobody waits for it', async () => {
      const { source, reads, errors } = await failing()
      expect(source.status()).toMatchObject({ breaker: 'open', reads: 5, failures: 5 })
      const loads = await Promise.allSettled(
        Array.from({ length: 1_000 }, (_, index) => source.load(`x${index}`)),
      )
      for (const { status } of loads) expect(status).toBe('rejected')
      expect(reads()).toBe(5)
      expect(errors).toHaveLength(5)
    })

    it('is tested with one read after a while, and used again if that succeeds', async () => {
      const { source, reads, repair, pass } = await failing()
      pass(1_501)
      const [probe, other] = [source.load('a'), source.load('b')]
      expect(source.status().breaker).toBe('half-open')
      await expect(probe).rejects.toBeInstanceOf(UnavailableError)
      await expect(other).rejects.toBeInstanceOf(UnavailableError)
      expect(reads()).toBe(6)
      repair()
      await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
      pass(1_501)
      await expect(source.load('a')).resolves.toMatchObject({ appId: 'a' })
      expect(source.status().breaker).toBe('closed')
      await expect(source.load('b')).resolves.toMatchObject({ appId: 'b' })
    })

    it('is used again at once when its feed is restored', async () => {
      const { store, listener } = scriptedStore()
      store.read = async () => Promise.reject(new Error('down'))
      const source = createPolicySource({ store })
      for (let index = 0; index < 6; index += 1) await source.load('a').catch(() => undefined)
      expect(source.status().breaker).toBe('open')
      store.read = async (appId) => stored(appId)
      listener().restored(true)
      await expect(source.load('a')).resolves.toMatchObject({ appId: 'a' })
    })

    it('does not include one with a damaged app: other apps are read', async () => {
      const source = createPolicySource({
        store: {
          read: async (appId) => {
            if (appId === 'damaged') throw new UnreadableError('a stored app is damaged')
            return stored(appId)
          },
        },
      })
      for (let index = 0; index < 20; index += 1)
        await expect(source.load('damaged')).rejects.toBeInstanceOf(UnavailableError)
      await expect(source.load('a')).resolves.toMatchObject({ appId: 'a' })
    })
  })

  it('holds policies of at most maxBytes, and reports a single one that is larger', async () => {
    const domains = (count: number): string[] =>
      Array.from({ length: count }, (_, index) => `https://x${index}.example`)
    const errors: Error[] = []
    const source = createPolicySource({
      store: {
        read: async (appId) => {
          const count = appId === 'huge' ? 10_000 : 100
          const policy = { appId, domainProtect: { mode: 'enforce', domains: domains(count) } }
          return { policy, revision: 1, keys: [] }
        },
      },
      maxBytes: 500_000,
      onError: (error) => errors.push(error),
    })
    for (let index = 0; index < 100; index += 1) await source.load(`app-${index}`)
    const { apps, bytes } = source.status()
    expect(bytes).toBeLessThanOrEqual(500_000)
    expect(apps).toBeGreaterThan(5)
    expect(apps).toBeLessThan(100)
    expect(await source.load('huge')).toMatchObject({ appId: 'huge' })
    expect(source.peek('huge')).toBeUndefined()
    expect(String(errors)).toContain('maxBytes')
  })

  it('reads at most 10,000 apps at once, and refuses the next', async () => {
    const { store, asked } = scriptedStore()
    const source = createPolicySource({ store })
    const loads = Array.from({ length: 10_001 }, (_, index) => source.load(`x${index}`))
    expect(source.status().reading).toBe(10_000)
    await expect(loads.at(-1)).rejects.toThrow(/too many/)
    store.read = async () => undefined
    for (const { answer } of asked) answer(undefined)
    await Promise.all(loads.slice(0, -1))
  })

  it('reads any number of different cold apps, 64 at a time', async () => {
    let [asked, most] = [0, 0]
    const store: PolicyStore = {
      async read(appId) {
        asked += 1
        most = Math.max(most, asked)
        await new Promise((resolve) => setTimeout(resolve, 1))
        asked -= 1
        return stored(appId)
      },
    }
    const source = createPolicySource({ store, readTimeout: 100 })
    const loads = await Promise.allSettled(
      Array.from({ length: 5_000 }, (_, index) => source.load(`x${index}`)),
    )
    expect(loads.filter(({ status }) => status === 'rejected')).toEqual([])
    expect(most).toBe(64)
  })

  it('does not mistake a busy process for an unresponsive store', async () => {
    const store: PolicyStore = {
      read: (appId) => new Promise((resolve) => setTimeout(() => resolve(stored(appId)), 1)),
    }
    const source = createPolicySource({ store, readTimeout: 50 })
    const loads = Promise.allSettled(Array.from({ length: 10 }, (_, index) => source.load(`x${index}`)))
    for (const until = performance.now() + 200; performance.now() < until;);
    expect((await loads).filter(({ status }) => status === 'rejected')).toEqual([])
  })

  it('reports its status', async () => {
    let now = 0
    const { store, asked, listener } = scriptedStore()
    const source = createPolicySource({ store, now: () => now })
    for (const appId of ['a', 'b', 'none']) {
      const load = source.load(appId)
      asked.at(-1)?.answer(appId === 'none' ? undefined : stored(appId))
      await load
      now += 100
    }
    source.peek('a')
    source.peek('c')
    listener().broken()
    now += 50
    const { bytes, ...status } = source.status()
    expect(bytes).toBeGreaterThan(1_000)
    expect(status).toEqual({
      feed: 'broken',
      feedAge: 50,
      emptied: false,
      breaker: 'closed',
      apps: 2,
      unknown: 1,
      lists: 0,
      listBytes: 0,
      oldest: 350,
      reading: 0,
      hits: 1,
      misses: 1,
      reads: 3,
      failures: 0,
    })
  })

  const wrong: [object, RegExp][] = [
    [{}, /`createPolicySource.store` is missing: give a policy store/],
    [{ store: {} }, /`createPolicySource.store`/],
    [
      { store: memoryStore(), maxStale: -1 },
      /`createPolicySource.maxStale` must be a whole number of milliseconds of at least 0, got -1/,
    ],
    [{ store: memoryStore(), maxBytes: 0 }, /`createPolicySource.maxBytes`/],
    [
      { store: memoryStore(), snapshot: '/tmp' },
      /`createPolicySource.snapshot` must be a snapshot made by diskSnapshot/,
    ],
    [{ store: memoryStore(), maxStale: '30s' }, /got "30s"/],
    [{ store: memoryStore(), maxStale: Number.NaN }, /got NaN/],
    [
      { store: memoryStore(), ttl: 5 },
      /createPolicySource: unknown option `ttl`: the options are store, maxStale/,
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
