/* oxlint-disable max-lines-per-function -- each function is a suite: it is as long as its tests are many */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import type { ListEntry } from '../list/entry.ts'
import type { ManagedPolicyStore } from '../store/contract.ts'
import type { ListStore } from '../store/list-contract.ts'
import { conflicts } from './store-examples.ts'
import type { StoreUnderTest, TestRunner } from './policy-store-contract.ts'

/** A store that also stores named lists. */
export type StoreWithLists = ManagedPolicyStore & ListStore

const OFFICE: readonly ListEntry[] = [
  { range: '192.0.2.0/24', note: 'head office, "2nd floor"', owner: 'alice' },
  { range: '2001:db8::/32', expires: '2030-01-31T12:00:00Z' },
  { range: '198.51.100.7' },
]

/**
 * Tests the behaviour of a store with named lists, in your test runner. `create` is called for each test, and returns an
 * empty store.
 */
export function namedListContract(
  name: string,
  runner: TestRunner,
  create: () => Promise<StoreUnderTest & { readonly store: StoreWithLists }>,
): void {
  const test = (title: string, body: (store: StoreWithLists) => Promise<void>): void =>
    runner.it(title, async () => {
      const { store, dispose } = await create()
      try {
        await body(store)
      } finally {
        await dispose()
      }
    })

  runner.describe(`named list contract: ${name}`, () => {
    test('returns undefined for a list that does not exist', async (store) => {
      strictEqual(await store.readList('office'), undefined)
      strictEqual(await store.readList('{no name}'), undefined)
      deepStrictEqual(await store.lists(), [])
    })

    test('returns the entries that were written, in their order, with revision and size', async (store) => {
      strictEqual(await store.writeList('office', OFFICE, 0, { author: 'alice', note: 'first' }), 1)
      const list = await store.readList('office')
      deepStrictEqual([list?.revision, list?.size], [1, 3])
      deepStrictEqual(await entriesOf(store, 'office'), OFFICE)
      const [summary] = await store.lists()
      deepStrictEqual(
        [summary?.name, summary?.revision, summary?.size, summary?.author, summary?.note],
        ['office', 1, 3, 'alice', 'first'],
      )
    })

    test('stores lists of many chunks, also from a generator', async (store) => {
      const size = 25_001
      const range = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      async function* many(): AsyncGenerator<ListEntry> {
        for (let index = 0; index < size; index += 1) yield { range: range(index) }
      }
      await store.writeList('many', many(), 0)
      const entries = await entriesOf(store, 'many')
      strictEqual(entries.length, size)
      for (const index of [0, 1_999, 2_000, 12_345, size - 1])
        strictEqual(entries[index]?.range, range(index))
    })

    test('writes nothing if an entry is refused, or if the entries throw', async (store) => {
      await store.writeList('office', OFFICE, 0)
      for (const range of ['192.0.2.1/24', '010.0.0.1', 'x'])
        await rejects(store.writeList('office', [...OFFICE, { range }], 1), { code: 'POLICY_INVALID' })
      function* failing(): Generator<ListEntry> {
        yield { range: '192.0.2.1' }
        throw new Error('the source of the list broke off')
      }
      await rejects(store.writeList('office', failing(), 1), /broke off/)
      await rejects(store.writeList('no {name}', OFFICE, 0), { code: 'POLICY_INVALID' })
      for (const none of ['192.0.2.1', undefined, {}])
        await rejects(store.writeList('office', none as never, 1), { code: 'CONFIG_INVALID' })
      deepStrictEqual(await entriesOf(store, 'office'), OFFICE)
    })

    test('lets exactly one of several simultaneous writers replace a revision', async (store) => {
      const write = (last: number): Promise<number> =>
        store.writeList('office', [{ range: `192.0.2.${last}` }], 0)
      const results = await Promise.allSettled([1, 2, 3, 4, 5].map(write))
      const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index + 1] : []))
      strictEqual(winners.length, 1)
      deepStrictEqual(await entriesOf(store, 'office'), [{ range: `192.0.2.${winners[0]}` }])
      await conflicts(store.writeList('office', OFFICE, 0), 0, 1)
    })

    test('lets a reader finish an earlier revision, or reports that it is unavailable', async (store) => {
      const many = Array.from({ length: 9_000 }, (_, index) => ({
        range: `10.0.${index >> 8}.${index & 255}`,
      }))
      await store.writeList('many', many, 0)
      const chunks = (await store.readList('many'))?.chunks()[Symbol.asyncIterator]()
      ok(chunks)
      let count = ((await chunks.next()).value as ListEntry[]).length
      await store.writeList('many', OFFICE, 1)
      try {
        for (let next = await chunks.next(); next.done !== true; next = await chunks.next())
          count += next.value.length
        strictEqual(count, 9_000)
      } catch (error) {
        strictEqual((error as { code?: unknown }).code, 'UNAVAILABLE')
      }
      deepStrictEqual(await entriesOf(store, 'many'), OFFICE)
    })

    test('removes a list, and continues its revisions when it is written again', async (store) => {
      await store.writeList('office', OFFICE, 0)
      await conflicts(store.removeList('office', 5), 5, 1)
      await store.removeList('office', 1)
      strictEqual(await store.readList('office'), undefined)
      deepStrictEqual(await store.lists(), [])
      await store.removeList('office', 0)
      await conflicts(store.removeList('office', 1), 1, 0)
      strictEqual(await store.writeList('office', OFFICE, 0), 3)
    })

    test('announces every change before the write returns', async (store) => {
      const heard: [string, number | undefined][] = []
      const leave = store.watch?.({
        changed: () => undefined,
        listChanged: (list, revision) => heard.push([list, revision]),
        broken: () => undefined,
        restored: () => undefined,
      })
      await store.writeList('office', OFFICE, 0)
      deepStrictEqual(heard.at(-1), ['office', 1])
      await store.removeList('office', 1)
      deepStrictEqual(heard.at(-1), ['office', 2])
      leave?.()
    })
  })
}

async function entriesOf(store: ListStore, name: string): Promise<ListEntry[]> {
  const entries: ListEntry[] = []
  const list = await store.readList(name)
  if (list !== undefined) for await (const chunk of list.chunks()) entries.push(...chunk)
  // Left-out members may be returned as `undefined`.
  return entries.map((entry) => JSON.parse(JSON.stringify(entry)) as ListEntry)
}
