import { describe, expect, it } from '@jest/globals'
import { createPolicySource, memoryStore, UnavailableError, type InitialApp } from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import type { StoreListener } from 'portcullis/store'

const ORIGIN = 'https://example.org'
const documentOf = (appId: string, domains = [ORIGIN]): InitialApp => ({
  policy: { appId, domainProtect: { mode: 'enforce', domains } },
})
const originOf = (index: number): string => `https://${index}.example`

/** A source whose store counts its calls, and returns no apps, at once or on request. */
function counting({ held = false } = {}) {
  const asked: string[] = []
  const answers: (() => void)[] = []
  const store: PolicyStore = {
    read: async () => undefined,
    appsByOrigin: async (origin) => {
      asked.push(origin)
      if (held) await new Promise<void>((resolve) => answers.push(resolve))
      return []
    },
  }
  const source = createPolicySource({ store, readTimeout: 60_000, now: () => 0 })
  return { source, asked, answers }
}

describe('finding apps by origin, under a flood of invented origins', () => {
  it('caches the last thousand, and reads earlier ones again', async () => {
    const { source, asked } = counting()
    for (let index = 0; index < 3_000; index += 1) await source.appsByOrigin(originOf(index))
    expect(asked).toHaveLength(3_000)
    for (let index = 2_000; index < 3_000; index += 1) await source.appsByOrigin(originOf(index))
    expect(asked).toHaveLength(3_000)
    await source.appsByOrigin(originOf(1_999))
    expect(asked).toHaveLength(3_001)
  })

  it('reads a thousand at once, and refuses more until one of them is answered', async () => {
    const { source, asked, answers } = counting({ held: true })
    const flood = Array.from({ length: 1_000 }, (_, index) => source.appsByOrigin(originOf(index)))
    await expect(source.appsByOrigin(ORIGIN)).rejects.toThrow(UnavailableError)
    const joined = source.appsByOrigin(originOf(0))
    while (answers.length > 0) {
      for (const answer of answers.splice(0)) answer()
      await new Promise(setImmediate)
    }
    expect(await Promise.all([...flood, joined])).toHaveLength(1_001)
    expect(asked).toHaveLength(1_000)
    const later = source.appsByOrigin(ORIGIN)
    await new Promise(setImmediate)
    for (const answer of answers) answer()
    expect(await later).toEqual([])
  })
})

describe('an answer about an origin', () => {
  it('is cached for `unknownFor`, and not longer', async () => {
    let now = 0
    let asked = 0
    const store: PolicyStore = {
      read: async () => undefined,
      appsByOrigin: async () => ((asked += 1), []),
    }
    const source = createPolicySource({ store, unknownFor: 100, now: () => now })
    for (const [time, questions] of [
      [0, 1],
      [99, 1],
      [100, 2],
      [199, 2],
      [200, 3],
    ] as const) {
      now = time
      await source.appsByOrigin(ORIGIN)
      expect([time, asked]).toEqual([time, questions])
    }
  })

  it('that was requested before a change is not cached', async () => {
    let listener: StoreListener | undefined
    const answers: ((ids: readonly string[]) => void)[] = []
    const store: PolicyStore = {
      read: async (appId) => ({ ...documentOf(appId), revision: 1, keys: [] }),
      appsByOrigin: () => new Promise((resolve) => answers.push(resolve)),
      watch: (given) => ((listener = given), () => undefined),
    }
    const source = createPolicySource({ store, now: () => 0 })
    const before = source.appsByOrigin(ORIGIN)
    await new Promise(setImmediate)
    listener?.changed('a', 1)
    answers[0]?.([])
    expect(await before).toEqual([])
    const after = source.appsByOrigin(ORIGIN)
    await new Promise(setImmediate)
    expect(answers).toHaveLength(2)
    answers[1]?.(['a'])
    expect((await after).map(({ appId }) => appId)).toEqual(['a'])
  })

  it('that was requested before a change is not used for later requests', async () => {
    let listener: StoreListener | undefined
    const answers: ((ids: readonly string[]) => void)[] = []
    const store: PolicyStore = {
      read: async (appId) => ({ ...documentOf(appId), revision: 1, keys: [] }),
      appsByOrigin: () => new Promise((resolve) => answers.push(resolve)),
      watch: (given) => ((listener = given), () => undefined),
    }
    const source = createPolicySource({ store, now: () => 0 })
    const before = source.appsByOrigin(ORIGIN)
    await new Promise(setImmediate)
    listener?.changed('a', 1)
    const after = source.appsByOrigin(ORIGIN)
    await new Promise(setImmediate)
    expect(answers).toHaveLength(2)
    answers[0]?.([])
    answers[1]?.(['a'])
    expect(await before).toEqual([])
    expect((await after).map(({ appId }) => appId)).toEqual(['a'])
  })
})

describe('an origin of many apps', () => {
  it('leads to the 64 apps that added it last', async () => {
    const store = memoryStore(Array.from({ length: 200 }, (_, index) => documentOf(`app-${index}`)))
    const source = createPolicySource({ store })
    const found = (await source.appsByOrigin(ORIGIN)).map(({ appId }) => appId)
    expect(found).toHaveLength(64)
    expect(found).toContain('app-199')
    await store.write(documentOf('app-0', [ORIGIN, 'https://a.example']), 1)
    expect((await source.appsByOrigin(ORIGIN)).map(({ appId }) => appId)).toContain('app-0')
  })

  it('leads to the readable apps; if none of them admits it, the result is "unavailable"', async () => {
    const memory = memoryStore([documentOf('a'), documentOf('b'), documentOf('c', ['https://c.example'])])
    const damaged = new Set(['b', 'c'])
    const source = createPolicySource({
      store: {
        read: async (appId) =>
          damaged.has(appId) ? { policy: {}, revision: 1, keys: [] } : memory.read(appId),
        // An index may lag behind.
        appsByOrigin: async (origin) => (origin === ORIGIN ? ['a', 'b'] : ['a', 'c']),
      },
    })
    expect((await source.appsByOrigin(ORIGIN)).map(({ appId }) => appId)).toEqual(['a'])
    await expect(source.appsByOrigin('https://c.example')).rejects.toThrow(UnavailableError)
    damaged.clear()
    expect((await source.appsByOrigin('https://c.example')).map(({ appId }) => appId)).toEqual(['c'])
  })
})
