/* oxlint-disable max-lines-per-function -- each function is a suite: it is as long as its tests are many */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import type { ManagedPolicyStore } from '../store/contract.ts'
import { changeKeys } from '../store/key-changes.ts'
import { rollbackPolicy } from '../store/rollback.ts'
import { conflicts, KEY, keyOf, OTHER_KEY, policy } from './store-examples.ts'

/** The part of the contract that key rotation relies on. */
export function keyContract(
  test: (title: string, body: (store: ManagedPolicyStore) => Promise<void>) => void,
): void {
  const idsOf = async (store: ManagedPolicyStore): Promise<string[]> =>
    ((await store.read('a'))?.keys ?? []).map(({ id }) => id)

  test('returns the keys of an app without their secrets', async (store) => {
    strictEqual(await store.keys('a'), undefined)
    strictEqual(await store.keys('{no id}'), undefined)
    await store.write({ policy: policy('a') }, 0)
    deepStrictEqual(await store.keys('a'), [])
    await store.write({ policy: policy('a'), keys: [KEY, OTHER_KEY] }, 1)
    const shown = await store.keys('a')
    deepStrictEqual(
      shown?.map((key) => ({ ...key })),
      [
        { id: 'key-1', algorithm: 'hmac-sha256' },
        { id: 'key-2', algorithm: 'hmac-sha256', notBefore: OTHER_KEY.notBefore },
      ],
    )
    ok(!JSON.stringify(shown).includes(KEY.secret.slice(0, 20)))
    await store.remove('a', 2)
    strictEqual(await store.keys('a'), undefined)
  })

  test('returns when a key was last used, even after other writes, and creates no revision for it', async (store) => {
    const used = async (): Promise<(string | undefined)[]> =>
      ((await store.keys('a')) ?? []).map(({ lastUsed }) => lastUsed)
    await store.write({ policy: policy('a'), keys: [KEY, OTHER_KEY] }, 0)
    await store.write({ policy: policy('b'), keys: [keyOf('b')] }, 0)
    const at = Date.now() - 86_400_000
    await store.noteKeyUse('a', 'key-1', at)
    deepStrictEqual(await used(), [new Date(at).toISOString(), undefined])
    await Promise.all([
      store.noteKeyUse('a', 'key-2', at + 60_000),
      store.noteKeyUse('a', 'key-1', at + 120_000),
    ])
    const both = [new Date(at + 120_000).toISOString(), new Date(at + 60_000).toISOString()]
    deepStrictEqual(await used(), both)
    strictEqual((await store.read('a'))?.revision, 1)
    await store.write({ policy: policy('a', ['https://a.example']) }, 1)
    deepStrictEqual(await used(), both)
    strictEqual((await store.keys('b'))?.[0]?.lastUsed, undefined)
    for (const wrong of [Number.NaN, Infinity, 9e15]) await store.noteKeyUse('a', 'key-1', wrong)
    deepStrictEqual(await used(), both)
  })

  test('ignores the use of a key or an app that does not exist', async (store) => {
    await store.write({ policy: policy('a'), keys: [KEY] }, 0)
    await store.noteKeyUse('a', 'nobody', Date.now())
    await store.noteKeyUse('nobody', 'key-1', Date.now())
    deepStrictEqual(
      (await store.keys('a'))?.map((key) => ({ ...key })),
      [{ id: 'key-1', algorithm: 'hmac-sha256' }],
    )
    strictEqual(await store.keys('nobody'), undefined)
  })

  test('changes single keys, and leaves the policy and the other keys unchanged', async (store) => {
    await store.write({ policy: policy('a', ['https://a.example']), keys: [KEY] }, 0)
    strictEqual(await changeKeys(store, 'a', { add: [OTHER_KEY], author: 'alice' }), 2)
    strictEqual(
      await changeKeys(store, 'a', { limit: [{ id: 'key-1', notAfter: '2030-01-01T00:00:00Z' }] }),
      3,
    )
    const stored = await store.read('a')
    deepStrictEqual({ ...(stored?.policy as object) }, policy('a', ['https://a.example']))
    deepStrictEqual(
      stored?.keys.map((key) => ({ ...key })),
      [{ ...KEY, notAfter: '2030-01-01T00:00:00Z' }, OTHER_KEY],
    )
    const limit = [{ id: 'key-2', notBefore: null, notAfter: '2031-01-01T00:00:00Z' }]
    await changeKeys(store, 'a', { limit, revoke: ['key-1'], replaces: 3 })
    const { notBefore: _, ...unlimited } = OTHER_KEY
    deepStrictEqual(
      (await store.read('a'))?.keys.map((key) => ({ ...key })),
      [{ ...unlimited, notAfter: '2031-01-01T00:00:00Z' }],
    )
    const history = await store.history('a')
    deepStrictEqual(
      history.map(({ author, note, keysChanged }) => [author, note, keysChanged]),
      [
        [undefined, 'keys: limit key-2; revoke key-1', true],
        [undefined, 'keys: limit key-1', true],
        ['alice', 'keys: add key-2', true],
        [undefined, undefined, true],
      ],
    )
    ok(!JSON.stringify(history).includes(KEY.secret))
  })

  test('refuses an impossible change of keys, and changes nothing', async (store) => {
    await store.write({ policy: policy('a'), keys: [KEY] }, 0)
    const wrong: readonly [changes: object, path: string][] = [
      [{}, ''],
      [{ add: [KEY] }, 'add[0].id'],
      [{ add: [OTHER_KEY, OTHER_KEY] }, 'add[1].id'],
      [{ add: [{ ...OTHER_KEY, secret: 'short' }] }, 'add[0].secret'],
      [{ revoke: ['key-9'] }, 'revoke[0]'],
      [{ revoke: ['key-1', 'key-1'] }, 'revoke[1]'],
      [{ limit: [{ id: 'key-9' }] }, 'limit[0].id'],
      [{ limit: [{ id: 'key-1' }], revoke: ['key-1'] }, 'limit[0].id'],
      [{ limit: [{ id: 'key-1', notAfter: 'tomorrow' }] }, 'keys[0].notAfter'],
    ]
    for (const [changes, path] of wrong) {
      await rejects(changeKeys(store, 'a', changes), (error: unknown) => {
        const { code, issues } = error as { code: string; issues: readonly { path: string }[] }
        deepStrictEqual([code, issues[0]?.path], ['POLICY_INVALID', path])
        return true
      })
    }
    for (const changes of [{ revoked: ['key-1'] }, { revoke: 'key-1' }, { replaces: '1' }])
      await rejects(changeKeys(store, 'a', changes as object), { code: 'CONFIG_INVALID' })
    await rejects(changeKeys(store, 'nobody', { add: [KEY] }), { code: 'POLICY_INVALID' })
    await conflicts(changeKeys(store, 'a', { revoke: ['key-1'], replaces: 7 }), 7, 1)
    strictEqual((await store.read('a'))?.revision, 1)
    deepStrictEqual(await idsOf(store), ['key-1'])
  })

  test('loses no key if several writers change keys at the same time', async (store) => {
    await store.write({ policy: policy('a'), keys: [KEY] }, 0)
    const added = ['b', 'c', 'd', 'e'].map((id) => ({ ...KEY, id }))
    await Promise.all(added.map((key) => changeKeys(store, 'a', { add: [key] })))
    deepStrictEqual((await idsOf(store)).sort(), ['b', 'c', 'd', 'e', 'key-1'])
  })

  test('never restores a revoked key with an earlier policy', async (store) => {
    await store.write({ policy: policy('a', ['https://a.example']), keys: [KEY, OTHER_KEY] }, 0)
    await changeKeys(store, 'a', { revoke: ['key-1'] })
    await rollbackPolicy(store, 'a', { to: 1, replaces: 2 })
    deepStrictEqual(await idsOf(store), ['key-2'])
  })

  /** The path of the key that a write is refused for, or `undefined` if the write succeeds. */
  const refusal = async (write: Promise<unknown>): Promise<string | undefined> => {
    try {
      await write
      return undefined
    } catch (error) {
      const { code, message, issues } = error as {
        code?: string
        message: string
        issues?: readonly { path: string }[]
      }
      strictEqual(code, 'POLICY_INVALID')
      ok(!message.includes(KEY.secret), 'a message must not contain a secret')
      return issues?.[0]?.path
    }
  }

  test('refuses a key whose id and secret another app has, and writes nothing', async (store) => {
    await store.write({ policy: policy('a'), keys: [KEY] }, 0)
    const otherDates = { ...KEY, notAfter: '2040-01-01T00:00:00Z' }
    for (const key of [KEY, otherDates])
      strictEqual(await refusal(store.write({ policy: policy('b'), keys: [OTHER_KEY, key] }, 0)), 'keys[1]')
    strictEqual(await store.read('b'), undefined)
    await store.write({ policy: policy('b'), keys: [OTHER_KEY] }, 0)
    strictEqual(await refusal(changeKeys(store, 'b', { add: [KEY] })), 'keys[1]')
    strictEqual((await store.read('b'))?.revision, 1)
    // Only the id or only the secret may be the same.
    await changeKeys(store, 'b', { add: [keyOf('b'), { ...KEY, id: 'key-3' }] })
    await store.write({ policy: policy('a', ['https://a.example']), keys: [KEY] }, 1)
    strictEqual((await store.read('a'))?.revision, 2)
  })

  test('lets an app have a key that no other app has now', async (store) => {
    await store.write({ policy: policy('a'), keys: [KEY, OTHER_KEY] }, 0)
    await changeKeys(store, 'a', { revoke: [OTHER_KEY.id] })
    await store.write({ policy: policy('b'), keys: [OTHER_KEY] }, 0)
    await store.remove('a', 2)
    await changeKeys(store, 'b', { add: [KEY] })
    deepStrictEqual(
      (await store.read('b'))?.keys.map(({ id }) => id),
      ['key-2', 'key-1'],
    )
    await store.write({ policy: policy('b'), keys: [] }, 2)
    await store.write({ policy: policy('a'), keys: [KEY, OTHER_KEY] }, 0)
  })

  test('gives a key to at most one of several apps that are written at the same time', async (store) => {
    for (let round = 0; round < 5; round += 1) {
      const key = keyOf(`round ${round}`)
      const apps = Array.from({ length: 6 }, (_, index) => `app-${round}-${index}`)
      await Promise.all(apps.map((appId) => refusal(store.write({ policy: policy(appId), keys: [key] }, 0))))
      const stored = await Promise.all(apps.map((appId) => store.read(appId)))
      const owners = stored.filter((app) => app !== undefined && app.keys.length > 0)
      ok(owners.length <= 1, `${owners.length} apps have the same key`)
    }
  })
}
