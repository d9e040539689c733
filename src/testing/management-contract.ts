/* oxlint-disable max-lines-per-function -- each function is a suite: it is as long as its tests are many */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import type { ManagedPolicyStore } from '../store/contract.ts'
import { rollbackPolicy } from '../store/rollback.ts'
import { conflicts, KEY, keyOf, OTHER_KEY, policy } from './store-examples.ts'

/** The part of the contract that a dashboard and a command line rely on. */
export function managementContract(
  test: (title: string, body: (store: ManagedPolicyStore) => Promise<void>) => void,
): void {
  test('lists the existing apps page by page, in the order of their ids', async (store) => {
    for (const id of ['b', 'a', 'B', 'c', 'a:1'])
      await store.write({ policy: policy(id), keys: [keyOf(id)] }, 0)
    await store.write({ policy: policy('c', ['https://c.example']) }, 1)
    await store.remove('b', 1)
    const whole = await store.list()
    deepStrictEqual(
      whole.apps.map(({ appId, revision }) => [appId, revision]),
      [
        ['B', 1],
        ['a', 1],
        ['a:1', 1],
        ['c', 2],
      ],
    )
    deepStrictEqual({ ...(whole.apps[3]?.policy as object) }, policy('c', ['https://c.example']))
    strictEqual(whole.next, undefined)
    ok(!JSON.stringify(whole).includes(keyOf('a').secret), 'a list must not contain keys')
    const ids: string[] = []
    for (let after: string | undefined, pages = 0; ; pages += 1) {
      ok(pages < 5, 'the pages do not end')
      const page = await store.list({ after, limit: 1 })
      ids.push(...page.apps.map(({ appId }) => appId))
      if (page.next === undefined) break
      after = page.next
    }
    deepStrictEqual(ids, ['B', 'a', 'a:1', 'c'])
    deepStrictEqual(await store.list({ after: 'c' }), { apps: [], next: undefined })
  })

  test('refuses an invalid page', async (store) => {
    for (const page of [{ limit: 0 }, { limit: 1_001 }, { limit: 1.5 }, { after: 5 }, { before: 1 }])
      await rejects(store.list(page as object), { code: 'CONFIG_INVALID' })
    for (const page of [{ limit: 0 }, { before: 0 }, { after: 'a' }])
      await rejects(store.history('a', page), { code: 'CONFIG_INVALID' })
  })

  test('returns the history of an app, newest first, with author, time and note', async (store) => {
    const begun = Date.now()
    await store.write({ policy: policy('a'), keys: [KEY] }, 0, { author: 'alice', note: 'first' })
    await store.write({ policy: policy('a', ['https://a.example']) }, 1, { author: 'bob' })
    await store.write({ policy: policy('a', ['https://b.example']), keys: [] }, 2)
    const [third, second, first, ...older] = await store.history('a')
    strictEqual(older.length, 0)
    deepStrictEqual(
      [first, second, third].map((entry) => [
        entry?.revision,
        entry?.author,
        entry?.note,
        entry?.keysChanged,
      ]),
      [
        [1, 'alice', 'first', true],
        [2, 'bob', undefined, false],
        [3, undefined, undefined, true],
      ],
    )
    deepStrictEqual({ ...(second?.policy as object) }, policy('a', ['https://a.example']))
    for (const entry of [first, second, third]) {
      const at = Date.parse(entry?.at ?? '')
      ok(at >= begun - 1_000 && at <= Date.now() + 1_000, `${entry?.at} is not the time of the write`)
    }
    ok(!JSON.stringify([first, second, third]).includes(KEY.secret), 'a history must not contain keys')
    deepStrictEqual(
      (await store.history('a', { before: 3, limit: 1 })).map(({ revision }) => revision),
      [2],
    )
    deepStrictEqual(await store.history('a', { before: 1 }), [])
    deepStrictEqual(await store.history('nobody'), [])
  })

  test('keeps the history of a removed app, including the removal', async (store) => {
    await store.write({ policy: policy('a'), keys: [KEY] }, 0)
    await store.remove('a', 1, { author: 'alice', note: 'contract ended' })
    const [removal] = await store.history('a')
    deepStrictEqual(
      [removal?.revision, removal?.author, removal?.note, removal?.policy, removal?.keysChanged],
      [2, 'alice', 'contract ended', undefined, true],
    )
    await store.write({ policy: policy('a') }, 0)
    deepStrictEqual(
      (await store.history('a')).map(({ revision }) => revision),
      [3, 2, 1],
    )
  })

  test('records no history of a refused write', async (store) => {
    await store.write({ policy: policy('a') }, 0)
    await conflicts(store.write({ policy: policy('a') }, 0), 0, 1)
    for (const note of [{ author: 5 }, { note: 'x'.repeat(1_025) }]) {
      await rejects(store.write({ policy: policy('a') }, 1, note as object), { code: 'POLICY_INVALID' })
      await rejects(store.remove('a', 1, note as object), { code: 'POLICY_INVALID' })
    }
    strictEqual((await store.history('a')).length, 1)
    strictEqual((await store.read('a'))?.revision, 1)
  })

  test('keeps at least the newest 100 revisions, without gaps', async (store) => {
    for (let revision = 0; revision < 120; revision += 1)
      await store.write({ policy: policy('a', [`https://r${revision + 1}.example`]) }, revision)
    const revisions = (await store.history('a')).map(({ revision }) => revision)
    deepStrictEqual(
      revisions,
      Array.from({ length: 100 }, (_, index) => 120 - index),
    )
  })

  test('restores an earlier policy as a new revision, without its keys', async (store) => {
    await store.write({ policy: policy('a', ['https://a.example']), keys: [KEY] }, 0)
    await store.write({ policy: policy('a', ['https://b.example']), keys: [OTHER_KEY] }, 1)
    strictEqual(await rollbackPolicy(store, 'a', { to: 1, replaces: 2, author: 'alice' }), 3)
    const stored = await store.read('a')
    deepStrictEqual({ ...(stored?.policy as object) }, policy('a', ['https://a.example']))
    deepStrictEqual(
      stored?.keys.map(({ id }) => id),
      ['key-2'],
    )
    await store.remove('a', 3)
    strictEqual(await rollbackPolicy(store, 'a', { to: 2, replaces: 0 }), 5)
    deepStrictEqual((await store.read('a'))?.keys, [])
    for (const to of [0, 4, 9])
      await rejects(rollbackPolicy(store, 'a', { to, replaces: 5 }), { code: 'REVISION_CONFLICT' })
    await conflicts(rollbackPolicy(store, 'a', { to: 1, replaces: 4 }), 4, 5)
    deepStrictEqual(
      (await store.history('a')).map(({ revision, note }) => [revision, note]),
      [
        [5, 'roll back to revision 2'],
        [4, undefined],
        [3, 'roll back to revision 1'],
        [2, undefined],
        [1, undefined],
      ],
    )
  })
}
