import { afterEach, describe, expect, it } from '@jest/globals'
import { createPolicySource, UnavailableError } from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import type { StoredApp, StoreListener } from 'portcullis/store'

const stored = (appId: string, revision = 1): StoredApp => ({ policy: { appId }, revision, keys: [] })

const unanswered: (() => void)[] = []
afterEach(() => {
  for (const answer of unanswered.splice(0)) answer()
})

describe('an unreachable store', () => {
  /** A source that read `a` 0.4 s ago. From now on, the test must answer all reads. */
  async function loadedAndHanging(maxStale = 60_000) {
    const clock = { now: 0 }
    const asked: ((app: StoredApp | undefined) => void)[] = []
    let listener: StoreListener | undefined
    const store: PolicyStore = {
      read: () =>
        new Promise((resolve) => {
          asked.push(resolve)
          unanswered.push(() => resolve(undefined))
        }),
      watch: (given) => ((listener = given), () => undefined),
    }
    const source = createPolicySource({
      store,
      maxStale,
      revalidateAfter: 1_000,
      readTimeout: 20,
      now: () => clock.now,
    })
    const load = source.load('a')
    asked[0]?.(stored('a'))
    await load
    clock.now = 400
    return { source, clock, asked, listener: listener as unknown as StoreListener }
  }

  it('makes the source refuse a changed app at once, however fresh the old policy is', async () => {
    const { source, listener } = await loadedAndHanging()
    listener.changed('a', 2)
    expect(source.peek('a')).toBeUndefined()
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
    expect(source.peek('a')).toBeUndefined()
  })

  it('makes the source serve an app after a gap in the feed, and read it again meanwhile', async () => {
    const { source, listener, asked, clock } = await loadedAndHanging()
    listener.broken()
    listener.restored()
    expect(source.peek('a')).toBeUndefined()
    await expect(source.load('a')).resolves.toMatchObject({ revision: 1 })
    const reads = asked.length
    clock.now = 2_000
    expect(source.peek('a')).toMatchObject({ revision: 1 })
    expect(asked).toHaveLength(reads + 1)
    asked.at(-1)?.(stored('a', 2))
    await new Promise(setImmediate)
    expect(source.peek('a')).toMatchObject({ revision: 2 })
  })

  it('makes the source refuse an app after a gap in the feed if it is older than maxStale', async () => {
    const { source, listener, clock } = await loadedAndHanging(1_000)
    listener.restored()
    clock.now = 1_001
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
  })
})

describe('a store that has lost its data', () => {
  async function emptied() {
    const clock = { now: 0 }
    const errors: Error[] = []
    const apps = new Map([['a', stored('a')]])
    let listener: StoreListener | undefined
    const store: PolicyStore = {
      read: async (appId) => apps.get(appId),
      appsByOrigin: async () => [],
      watch: (given) => ((listener = given), () => undefined),
    }
    const onError = (error: Error): void => void errors.push(error)
    const source = createPolicySource({ store, maxStale: 1_000, now: () => clock.now, onError })
    await source.load('a')
    await source.load('nobody')
    apps.clear()
    listener?.emptied?.()
    return { source, clock, errors, apps }
  }
  const refused = (load: Promise<unknown>): Promise<void> => expect(load).rejects.toThrow(/acceptEmpty/)

  it('makes the source serve known apps for maxStale, and report no app as unknown', async () => {
    const { source, clock } = await emptied()
    expect(source.status().emptied).toBe(true)
    await expect(source.load('a')).resolves.toMatchObject({ revision: 1 })
    clock.now = 1_000
    expect(source.peek('a')).toMatchObject({ revision: 1 })
    for (const appId of ['nobody', 'cold']) {
      expect(source.peek(appId)).toBeUndefined()
      await refused(source.load(appId))
    }
    clock.now = 1_001
    expect(source.peek('a')).toBeUndefined()
    await refused(source.load('a'))
  })

  it('has no apps after the loss is accepted', async () => {
    const { source } = await emptied()
    source.acceptEmpty()
    for (const appId of ['a', 'nobody']) await expect(source.load(appId)).resolves.toBeNull()
    expect(source.status().emptied).toBe(false)
  })

  it('has the apps that are written to it again', async () => {
    const { source, apps, clock } = await emptied()
    apps.set('b', stored('b'))
    await expect(source.load('b')).resolves.toMatchObject({ appId: 'b' })
    apps.set('a', stored('a', 3))
    clock.now = 1_001
    await expect(source.load('a')).resolves.toMatchObject({ revision: 3 })
  })

  it('leads from an origin to the known apps, because its index may be lost too', async () => {
    const origin = 'https://example.org'
    let listener: StoreListener | undefined
    let app: StoredApp | undefined = {
      policy: { appId: 'a', domainProtect: { mode: 'enforce', domains: [origin] } },
      revision: 1,
      keys: [],
    }
    const source = createPolicySource({
      store: {
        read: async () => app,
        appsByOrigin: async () => (app === undefined ? [] : ['a']),
        watch: (given) => ((listener = given), () => undefined),
      },
      now: () => 0,
    })
    expect((await source.appsByOrigin(origin)).map(({ appId }) => appId)).toEqual(['a'])
    app = undefined
    listener?.emptied?.()
    expect((await source.appsByOrigin(origin)).map(({ appId }) => appId)).toEqual(['a'])
    await refused(source.appsByOrigin('https://other.example'))
  })

  it('is reported once, does not count as failing, and cannot find apps by origin', async () => {
    const { source, errors } = await emptied()
    for (const origin of ['https://a.example', 'https://b.example'])
      await refused(source.appsByOrigin(origin))
    for (let index = 0; index < 20; index += 1) await refused(source.load(`x${index}`))
    expect(errors.map(String)).toEqual([expect.stringContaining('acceptEmpty')])
    expect(source.status().breaker).toBe('closed')
  })
})

describe('an app that changes repeatedly while it is read', () => {
  it('is not cached as unknown if the last answer is "no such app"', async () => {
    let listener: StoreListener | undefined
    let reads = 0
    const store: PolicyStore = {
      async read() {
        reads += 1
        listener?.changed('a')
        return undefined
      },
      watch: (given) => ((listener = given), () => undefined),
    }
    const source = createPolicySource({ store, now: () => 0 })
    expect(await source.load('a')).toBeNull()
    expect(reads).toBeGreaterThan(1)
    expect(source.peek('a')).toBeUndefined()
    expect(source.status().unknown).toBe(0)
  })
})

describe('a read that began before a gap in the feed', () => {
  it('is repeated, because its answer may be older than the missed changes', async () => {
    let listener: StoreListener | undefined
    const asked: ((app: StoredApp) => void)[] = []
    const source = createPolicySource({
      store: {
        read: () => new Promise((resolve) => asked.push(resolve)),
        watch: (given) => ((listener = given), () => undefined),
      },
    })
    const load = source.load('a')
    listener?.broken()
    listener?.restored(false)
    asked[0]?.(stored('a'))
    await new Promise(setImmediate)
    expect(asked).toHaveLength(2)
    asked[1]?.(stored('a', 2))
    expect(await load).toMatchObject({ revision: 2 })
  })
})
