/* oxlint-disable max-lines-per-function -- each function is a suite: it is as long as its tests are many */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import type { AppKey } from '../signature/keys.ts'
import type { ManagedPolicyStore, StoredApp, StoreListener } from '../store/contract.ts'
import { checkContract } from './check-contract.ts'
import { keyContract } from './key-contract.ts'
import { managementContract } from './management-contract.ts'
import { conflicts, KEY, OTHER_KEY, policy } from './store-examples.ts'

/** The functions of a test runner: jest, vitest, mocha and node:test have them. */
export interface TestRunner {
  readonly describe: (title: string, body: () => void) => void
  readonly it: (title: string, body: () => Promise<void>) => void
}

/** An empty store, and how to close it. */
export interface StoreUnderTest {
  readonly store: ManagedPolicyStore
  dispose(): void | Promise<void>
}

/**
 * Tests the behaviour of a managed policy store, in your test runner. `create` is called for each test, and returns an empty
 * store.
 *
 * ```ts
 * policyStoreContract('my store', { describe, it }, async () => ({ store: myStore(), dispose() {} }))
 * ```
 */
export function policyStoreContract(
  name: string,
  runner: TestRunner,
  create: () => Promise<StoreUnderTest>,
): void {
  const test = (title: string, body: (store: ManagedPolicyStore) => Promise<void>): void =>
    runner.it(title, async () => {
      const { store, dispose } = await create()
      try {
        await body(store)
      } finally {
        await dispose()
      }
    })

  runner.describe(`policy store contract: ${name}`, () => {
    test('returns undefined for an app that does not exist', async (store) => {
      strictEqual(await store.read('nobody'), undefined)
    })

    test('returns what was written, with revision 1 and its keys', async (store) => {
      strictEqual(await store.write({ policy: policy('a'), keys: [KEY, OTHER_KEY] }, 0), 1)
      const stored = await store.read('a')
      deepStrictEqual({ ...(stored?.policy as object) }, policy('a'))
      strictEqual(stored?.revision, 1)
      deepStrictEqual(
        stored.keys.map((key) => ({ ...key })),
        [KEY, OTHER_KEY],
      )
    })

    test('counts revisions, and leaves the keys unchanged if a write omits them', async (store) => {
      await store.write({ policy: policy('a'), keys: [KEY] }, 0)
      strictEqual(await store.write({ policy: policy('a', ['https://example.org']) }, 1), 2)
      const stored = await store.read('a')
      strictEqual(stored?.revision, 2)
      deepStrictEqual(
        stored.keys.map(({ id }) => id),
        ['key-1'],
      )
      await store.write({ policy: policy('a'), keys: [] }, 2)
      deepStrictEqual((await store.read('a'))?.keys, [])
    })

    test('refuses a write that does not name the current revision, and writes nothing', async (store) => {
      await store.write({ policy: policy('a') }, 0)
      for (const replaces of [0, 2])
        await conflicts(store.write({ policy: policy('a', ['https://x.example']) }, replaces), replaces, 1)
      await conflicts(store.write({ policy: policy('b') }, 1), 1, 0)
      deepStrictEqual({ ...((await store.read('a'))?.policy as object) }, policy('a'))
      strictEqual(await store.read('b'), undefined)
    })

    test('lets exactly one of many simultaneous writers replace a revision', async (store) => {
      for (let revision = 0; revision < 5; revision += 1) {
        const results = await Promise.allSettled(
          Array.from({ length: 50 }, (_, writer) =>
            store.write({ policy: policy('a', [`https://w${writer}.example`]) }, revision),
          ),
        )
        const winners = results.flatMap((result, writer) => (result.status === 'fulfilled' ? [writer] : []))
        strictEqual(winners.length, 1)
        const stored = await store.read('a')
        strictEqual(stored?.revision, revision + 1)
        deepStrictEqual({ ...(stored.policy as object) }, policy('a', [`https://w${winners[0]}.example`]))
      }
    })

    test('refuses an invalid document or invalid keys, and writes nothing', async (store) => {
      await rejects(store.write({ policy: { appId: 'a', ipWhitelst: {} } }, 0), { code: 'POLICY_INVALID' })
      await rejects(store.write({ policy: policy('a'), keys: [{ ...KEY, secret: 'short' }] }, 0), {
        code: 'POLICY_INVALID',
      })
      strictEqual(await store.read('a'), undefined)
    })

    test('removes an app, and continues its revisions when it is written again', async (store) => {
      await store.write({ policy: policy('a'), keys: [KEY] }, 0)
      await conflicts(store.remove('a', 5), 5, 1)
      await store.remove('a', 1)
      strictEqual(await store.read('a'), undefined)
      await conflicts(store.remove('a', 1), 1, 0)
      strictEqual(await store.write({ policy: policy('a') }, 0), 3)
      deepStrictEqual((await store.read('a'))?.keys, [])
    })

    test('accepts the removal of a missing app, and refuses it if the app exists', async (store) => {
      await store.remove('a', 0)
      strictEqual(await store.write({ policy: policy('a') }, 0), 1)
      await conflicts(store.remove('a', 0), 0, 1)
      strictEqual((await store.read('a'))?.revision, 1)
    })

    test('neither writes nor finds an app with an invalid id', async (store) => {
      for (const id of ['', '{x}', 'a b', 'a/b', 'a\n', 'x'.repeat(129)]) {
        await rejects(store.write({ policy: policy(id) }, 0), { code: 'POLICY_INVALID' })
        strictEqual(await store.read(id), undefined)
      }
    })

    test('keeps apps with similar ids apart', async (store) => {
      const ids = [
        'a',
        'A',
        'a:b',
        'a.b',
        'a_b',
        'a-b',
        '..',
        ':',
        'constructor',
        '__proto__',
        'x'.repeat(128),
      ]
      for (const id of ids)
        await store.write({ policy: policy(id, [`https://${ids.indexOf(id)}.example`]) }, 0)
      for (const id of ids) {
        deepStrictEqual(
          { ...((await store.read(id))?.policy as object) },
          policy(id, [`https://${ids.indexOf(id)}.example`]),
        )
      }
    })

    test('is unaffected by changes to a document after it was written', async (store) => {
      const document = { appId: 'a', domainProtect: { mode: 'enforce', domains: ['https://example.org'] } }
      await store.write({ policy: document }, 0)
      document.domainProtect.domains.push('https://evil.example')
      deepStrictEqual(
        { ...((await store.read('a'))?.policy as object) },
        policy('a', ['https://example.org']),
      )
    })

    test('is unaffected by changes to a document that it has returned', async (store) => {
      await store.write({ policy: policy('a', ['https://example.org']), keys: [KEY] }, 0)
      const spoil: ((app: StoredApp) => unknown)[] = [
        ({ policy }) => Object.assign(policy as object, { name: 'spoilt' }),
        ({ policy }) => (policy as { domainProtect: { domains: string[] } }).domainProtect.domains.push('x'),
        ({ keys }) => Object.assign(keys[0] as object, { secret: 'spoilt' }),
        ({ keys }) => (keys as AppKey[]).pop(),
      ]
      for (const how of spoil) {
        const given = await store.read('a')
        ok(given)
        try {
          how(given)
        } catch {
          // A frozen copy is as good as a private one.
        }
      }
      const stored = await store.read('a')
      deepStrictEqual({ ...(stored?.policy as object) }, policy('a', ['https://example.org']))
      deepStrictEqual(
        stored?.keys.map((key) => ({ ...key })),
        [KEY],
      )
    })

    test('finds the apps that may admit an origin, including by wildcards, and drops those that no longer do', async (store) => {
      const find = async (origin: string): Promise<string[]> =>
        [...((await store.appsByOrigin?.(origin)) ?? [])].sort()
      await store.write({ policy: policy('a', ['https://a.example.org']) }, 0)
      await store.write({ policy: policy('b', ['https://*.example.org', 'https://b.example']) }, 0)
      deepStrictEqual(await find('https://a.example.org'), ['a', 'b'])
      deepStrictEqual(await find('https://x.y.example.org'), ['b'])
      deepStrictEqual(await find('https://example.org'), [])
      deepStrictEqual(await find('https://evil.example'), [])
      await store.write({ policy: policy('b', ['https://b.example']) }, 1)
      deepStrictEqual(await find('https://x.y.example.org'), [])
      deepStrictEqual(await find('https://b.example'), ['b'])
      await store.remove('b', 2)
      deepStrictEqual(await find('https://b.example'), [])
    })

    test('finds an app by its origins even after many concurrent writes', async (store) => {
      const origins = ['https://a.example', 'https://b.example', 'https://c.example']
      for (let round = 0; round < 20; round += 1) {
        const revision = (await store.read('a'))?.revision ?? 0
        await Promise.allSettled(
          origins.map((_, skipped) =>
            store.write({ policy: policy('a', origins.toSpliced(skipped, 1)) }, revision),
          ),
        )
      }
      const stored = (await store.read('a'))?.policy as { domainProtect: { domains: string[] } }
      for (const origin of stored.domainProtect.domains)
        ok((await store.appsByOrigin?.(origin))?.includes('a'), `${origin} is not found`)
    })

    managementContract(test)
    checkContract(test)
    keyContract(test)

    test('notifies every listener, even after another one has left', async (store) => {
      const [first, second]: [string[], string[]] = [[], []]
      const leave = store.watch?.(listenerOf((appId) => first.push(appId)))
      const leaveToo = store.watch?.(listenerOf((appId) => second.push(appId)))
      await store.write({ policy: policy('a') }, 0)
      leave?.()
      await store.write({ policy: policy('b') }, 0)
      leaveToo?.()
      ok(first.includes('a') && !first.includes('b'))
      ok(second.includes('a') && second.includes('b'))
    })

    test('announces every change before the write returns, in order, until the listener leaves', async (store) => {
      const heard: string[] = []
      const leave = store.watch?.(listenerOf((appId) => heard.push(appId)))
      ok(leave, 'a managed store has a change feed')
      await store.write({ policy: policy('a') }, 0)
      strictEqual(heard.at(-1), 'a')
      await store.write({ policy: policy('b') }, 0)
      strictEqual(heard.at(-1), 'b')
      await store.remove('a', 1)
      strictEqual(heard.at(-1), 'a')
      leave()
      const count = heard.length
      await store.write({ policy: policy('c') }, 0)
      strictEqual(heard.length, count)
    })
  })
}

function listenerOf(changed: (appId: string) => void): StoreListener {
  return { changed, broken: () => undefined, restored: () => undefined }
}
