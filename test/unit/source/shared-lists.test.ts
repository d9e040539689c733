import { describe, expect, it } from '@jest/globals'
import {
  createPolicySource,
  memoryStore,
  UnavailableError,
  UnreadableError,
  type ListEntry,
  type PolicySource,
  type PolicyInput,
} from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import type { StoreListener, StoredList } from 'portcullis/store'
import { decideIpWhitelist } from '../../../src/guards/ip-whitelist.ts'
import { ListDigest } from '../../../src/list/list-digest.ts'
import { parseIp } from '../../../src/match/ip.ts'

const policy = (section: Partial<PolicyInput['ipWhitelist']>, appId = 'a'): PolicyInput => ({
  appId,
  ipWhitelist: { mode: 'enforce', ...section },
})

/** The decision of the guard about an address. */
async function judge(source: PolicySource, text: string, now = Date.now()): Promise<string> {
  const app = source.peek('a') ?? (await source.load('a'))
  const address = parseIp(text)
  if (app === null || address === undefined) throw new Error('no such app, or no address')
  const { decision } = decideIpWhitelist(app.policy, { address: { address, source: 'socket', hops: 0 }, now })
  return decision.effect === 'allow' ? `by ${String(decision.evidence?.['list'])}` : decision.detail
}

async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const until = Date.now() + 5_000; !(await condition());) {
    if (Date.now() > until) throw new Error('it did not come true in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** The number of turns of the event loop during the work. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let done = false
  const count = (): void => {
    turns += 1
    if (!done) setImmediate(count)
  }
  setImmediate(count)
  await work()
  done = true
  return turns
}

const ranges = (...texts: string[]) => texts.map((range) => ({ range }))
const outside = 'the address is outside every range'

/** The digest of the list `office`, as in the audit. */
async function digestIn(source: PolicySource): Promise<string | undefined> {
  const app = source.peek('a') ?? (await source.load('a'))
  return app?.policy.ipWhitelist?.lists[0]?.digest
}

describe('named lists', () => {
  it('are identified by the digest of their contents, and not by a revision, which a restored store may repeat', async () => {
    const many = ranges(...Array.from({ length: 700 }, (_, index) => `10.0.${index >> 8}.${index & 255}`))
    const digests = [ranges('192.0.2.0/24'), many, many.slice(0, 512), many.slice(0, 699)].map(
      async (entries) => {
        const store = memoryStore([{ policy: policy({ lists: ['office'] }) }])
        await store.writeList('office', entries, 0)
        expect(await digestIn(createPolicySource({ store }))).toBe(new ListDigest().add(entries).end())
        return digestIn(createPolicySource({ store }))
      },
    )
    expect(new Set(await Promise.all(digests)).size).toBe(4)
    const gone = memoryStore([{ policy: policy({ lists: ['office'] }) }])
    expect(await digestIn(createPolicySource({ store: gone }))).toBeUndefined()
  })

  it('admit their entries, and nobody if the store has no such list', async () => {
    const store = memoryStore([{ policy: policy({ lists: ['office', 'gone'] }) }])
    await store.writeList('office', ranges('192.0.2.0/24', '2001:db8::/32'), 0)
    const source = createPolicySource({ store })
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    expect(await judge(source, '2001:db8::1')).toBe('by office')
    expect(await judge(source, '192.0.3.7')).toBe(outside)
    expect(await judge(createPolicySource({ store: { read: store.read } }), '192.0.2.7')).toBe(outside)
  })

  it('in `denyLists` refuse their entries, whatever admits them, and everybody if there is no such list', async () => {
    const section = { ranges: ['0.0.0.0/0'], lists: ['office'], denyLists: ['bad'] }
    const store = memoryStore([{ policy: policy(section) }])
    await store.writeList('office', ranges('192.0.2.0/24'), 0)
    const source = createPolicySource({ store })
    expect(await judge(source, '192.0.2.7')).toBe('a list of `denyLists` does not exist')
    await store.writeList('bad', ranges('192.0.2.7'), 0)
    await eventually(async () => (await judge(source, '192.0.2.7')).includes('is in a list'))
    expect(await judge(source, '192.0.2.8')).not.toContain('denyLists')
    await store.removeList('bad', 1)
    await eventually(async () => (await judge(source, '192.0.2.8')).includes('does not exist'))
  })

  it('are replaced completely in all apps that name them, without reading these again', async () => {
    const store = memoryStore([
      { policy: policy({ lists: ['office'] }) },
      { policy: policy({ lists: ['office'] }, 'b') },
    ])
    await store.writeList('office', ranges('192.0.2.0/24'), 0)
    const source = createPolicySource({ store })
    await source.load('b')
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    const { reads } = source.status()
    await store.writeList('office', ranges('198.51.100.0/24'), 1)
    await eventually(async () => (await judge(source, '198.51.100.7')) === 'by office')
    expect(await judge(source, '192.0.2.7')).toBe(outside)
    // The list, its only chunk and its end.
    expect(source.status().reads - reads).toBe(3)
    expect(source.status()).toMatchObject({ lists: 1 })
    expect(source.status().listBytes).toBeGreaterThan(0)
  })

  it('stop admitting an entry when it expires, and still admit a wider one', async () => {
    const store = memoryStore([{ policy: policy({ lists: ['office'] }) }])
    await store.writeList(
      'office',
      [
        { range: '192.0.2.128/32', expires: '2030-01-01T00:00:00Z' },
        { range: '192.0.2.128/25', expires: '2030-01-01T00:00:10Z' },
        { range: '192.0.2.0/24', expires: '2030-01-01T00:00:05+00:00' },
        { range: '2001:db8::/32', expires: '2030-01-01T00:00:00Z' },
      ],
      0,
    )
    const source = createPolicySource({ store })
    const at = (second: number): number => Date.UTC(2030, 0, 1, 0, 0, second)
    expect(await judge(source, '192.0.2.128', at(0) - 1)).toBe('by office')
    for (const [address, second, verdict] of [
      ['192.0.2.128', 0, 'by office'],
      ['192.0.2.128', 9.999, 'by office'],
      ['192.0.2.128', 10, outside],
      ['192.0.2.1', 4, 'by office'],
      ['192.0.2.1', 5, outside],
      ['2001:db8::1', -1, 'by office'],
      ['2001:db8::1', 0, outside],
    ] as const)
      expect([address, second, await judge(source, address, at(second))]).toEqual([address, second, verdict])
  })

  it('are read once for all apps and requests that need them', async () => {
    const memory = memoryStore(
      Array.from({ length: 50 }, (_, index) => ({ policy: policy({ lists: ['office'] }, `app-${index}`) })),
    )
    await memory.writeList('office', ranges('192.0.2.0/24'), 0)
    let reads = 0
    const store: PolicyStore = {
      ...memory,
      readList: (name) => ((reads += 1), memory.readList(name)),
    }
    const source = createPolicySource({ store })
    await Promise.all(Array.from({ length: 500 }, (_, index) => source.load(`app-${index % 50}`)))
    expect(reads).toBe(1)
  })

  it('are unavailable if they cannot be read, and used for at most maxStale after they were read', async () => {
    let now = 0
    let down = true
    const memory = memoryStore([{ policy: policy({ lists: ['office'] }) }])
    await memory.writeList('office', ranges('192.0.2.0/24'), 0)
    const store: PolicyStore = {
      read: memory.read,
      readList: async (name) => (down ? Promise.reject(new Error('down')) : memory.readList(name)),
    }
    const source = createPolicySource({ store, now: () => now, maxStale: 1_000, revalidateAfter: 100 })
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
    expect(source.peek('a')).toBeUndefined()
    down = false
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    down = true
    now = 1_000
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    now = 1_001
    expect(source.peek('a')).toBeUndefined()
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('are read again from the beginning if they are replaced during the read', async () => {
    const memory = memoryStore([{ policy: policy({ lists: ['office'] }) }])
    await memory.writeList('office', ranges('192.0.2.0/24'), 0)
    let looks = 0
    const store: PolicyStore = {
      read: memory.read,
      async readList(name) {
        looks += 1
        const list = await memory.readList(name)
        if (looks > 1 || list === undefined) return list
        return {
          ...list,
          // oxlint-disable-next-line require-yield -- it fails before its first chunk
          async *chunks() {
            throw new UnavailableError('gone')
          },
        }
      },
    }
    expect(await judge(createPolicySource({ store }), '192.0.2.7')).toBe('by office')
    expect(looks).toBe(2)
  })

  it('are read again after a gap in the feed, even if their revision is the same', async () => {
    const memory = memoryStore([{ policy: policy({ lists: ['office'] }) }])
    await memory.writeList('office', ranges('192.0.2.0/24'), 0)
    let listener: StoreListener | undefined
    let list: StoredList | undefined = await memory.readList('office')
    const store: PolicyStore = {
      read: memory.read,
      readList: async () => list,
      watch(given) {
        listener = given
        return () => undefined
      },
    }
    const source = createPolicySource({ store })
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    const other = memoryStore()
    await other.writeList('office', ranges('198.51.100.0/24'), 0)
    list = await other.readList('office')
    listener?.restored()
    await eventually(async () => (await judge(source, '198.51.100.7')) === 'by office')
  })

  const unusable: [string, object][] = [
    ['a range that is none', { range: '192.0.2.1/24' }],
    [
      'a moment that is none, which would let a refused address pass',
      { range: '192.0.2.0/24', expires: 'soon' },
    ],
  ]
  for (const [what, entry] of unusable) {
    it(`are unreadable, like their apps, if a store returns ${what}`, async () => {
      let closed = false
      const store: PolicyStore = {
        read: memoryStore([{ policy: policy({ ranges: ['0.0.0.0/0'], denyLists: ['bad'] }) }]).read,
        readList: async () => ({
          revision: 1,
          size: 1,
          async *chunks() {
            try {
              yield [entry as ListEntry]
            } finally {
              closed = true
            }
          },
        }),
      }
      await expect(createPolicySource({ store }).load('a')).rejects.toBeInstanceOf(UnreadableError)
      // It may have a file open.
      await eventually(() => closed)
    })
  }

  it('are used for maxStale after they were read, however fresh their app is', async () => {
    const memory = memoryStore(['a', 'b'].map((appId) => ({ policy: policy({ lists: ['office'] }, appId) })))
    await memory.writeList('office', ranges('192.0.2.0/24'), 0)
    let now = 0
    let fails = false
    const source = createPolicySource({
      store: {
        read: async (appId) => memory.read(appId),
        readList: async (name) => {
          if (fails) throw new UnavailableError('down')
          return memory.readList(name)
        },
      },
      maxStale: 100,
      revalidateAfter: 100,
      now: () => now,
    })
    await source.load('b')
    fails = true
    now = 50
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    now = 100
    expect(source.peek('a')).toMatchObject({ appId: 'a' })
    now = 101
    expect(source.peek('a')).toBeUndefined()
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('remain in use if the store has lost its data, like apps', async () => {
    const memory = memoryStore([{ policy: policy({ lists: ['office'], denyLists: ['blocked'] }) }])
    await memory.writeList('office', ranges('192.0.2.0/24'), 0)
    await memory.writeList('blocked', ranges('192.0.2.9'), 0)
    let isEmpty = false
    let listener: StoreListener | undefined
    const errors: unknown[] = []
    const source = createPolicySource({
      store: {
        read: async (appId) => (isEmpty ? undefined : memory.read(appId)),
        readList: async (name) => (isEmpty ? undefined : memory.readList(name)),
        watch: (given) => ((listener = given), () => undefined),
      },
      onError: (error) => errors.push(error),
    })
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    isEmpty = true
    listener?.emptied?.()
    // One error of the store, and one for each list that could not be read.
    await eventually(() => errors.length >= 3)
    expect(await judge(source, '192.0.2.7')).toBe('by office')
    expect(await judge(source, '192.0.2.9')).toBe('the address is in a list of `denyLists`')
  })

  it('are written and compiled in slices, between which the process can do other work', async () => {
    const store = memoryStore([{ policy: policy({ lists: ['many'] }) }])
    const many = Array.from({ length: 100_000 }, (_, index) => ({
      range: `${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.0/24`,
    }))
    expect(await turnsDuring(() => store.writeList('many', many, 0))).toBeGreaterThan(10)
    const source = createPolicySource({ store })
    expect(await turnsDuring(() => judge(source, '9.9.9.9'))).toBeGreaterThan(10)
    expect(await judge(source, '9.9.9.9')).toBe(outside)
    expect(await judge(source, '1.3.4.5')).toBe('by many')
  })
})
