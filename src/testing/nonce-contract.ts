/* oxlint-disable max-lines-per-function -- each function is a suite: it is as long as its tests are many */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { NonceStore } from '../signature/nonces.ts'
import type { TestRunner } from './policy-store-contract.ts'

/** An empty nonce store, and how to close it. */
export interface NonceStoreUnderTest {
  readonly nonces: NonceStore
  /** The largest number of unexpired nonces of one app. Use a few hundred for the test. Left out: unlimited. */
  readonly maxPerApp?: number | undefined
  dispose(): void | Promise<void>
}

/**
 * Tests the behaviour of a nonce store, in your test runner. `create` is called for each test, and returns an empty store
 * that uses the system clock.
 *
 * ```ts
 * nonceStoreContract('my nonces', { describe, it }, async () => ({ nonces: myNonces(), dispose() {} }))
 * ```
 */
export function nonceStoreContract(
  name: string,
  runner: TestRunner,
  create: () => Promise<NonceStoreUnderTest>,
): void {
  const test = (title: string, body: (tested: NonceStoreUnderTest) => Promise<void>): void =>
    runner.it(title, async () => {
      const tested = await create()
      try {
        await body(tested)
      } finally {
        await tested.dispose()
      }
    })
  const soon = (): number => Date.now() + 10_000

  runner.describe(`nonce store contract: ${name}`, () => {
    test('lets a nonce be claimed once, and not again with another expiry', async ({ nonces }) => {
      strictEqual(await nonces.claim('a', 'nonce', soon()), true)
      for (const more of [0, 5_000, 3_600_000, -5_000])
        strictEqual(await nonces.claim('a', 'nonce', soon() + more), false)
    })

    test('lets exactly one of many simultaneous claims succeed', async ({ nonces }) => {
      for (let round = 0; round < 5; round += 1) {
        const claims = Array.from({ length: 200 }, async () => nonces.claim('a', `nonce ${round}`, soon()))
        strictEqual((await Promise.all(claims)).filter(Boolean).length, 1)
      }
    })

    test('keeps apps and nonces apart, even if their concatenations are equal', async ({ nonces }) => {
      const long = 'x'.repeat(257)
      const claims: readonly [appId: string, nonce: string][] = [
        ['a', 'bc'],
        ['ab', 'c'],
        ['a', 'b/c'],
        ['a', 'b:c'],
        ['a:b', 'c'],
        ['A', 'bc'],
        ['a', 'BC'],
        ['__proto__', 'constructor'],
        ['a', '{b}'],
        ['a', ''],
        ['a', long],
        ['a', `${long}x`],
      ]
      for (const [appId, nonce] of claims) strictEqual(await nonces.claim(appId, nonce, soon()), true)
      for (const [appId, nonce] of claims) strictEqual(await nonces.claim(appId, nonce, soon()), false)
    })

    test('remembers a nonce until it expires', async ({ nonces }) => {
      const until = Date.now() + 300
      strictEqual(await nonces.claim('a', 'nonce', until), true)
      while (Date.now() < until - 50) {
        strictEqual(await nonces.claim('a', 'nonce', soon()), false)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })

    test('refuses to remember a nonce for no time or forever', async ({ nonces }) => {
      for (const until of [Date.now() - 1_000, Number.NaN, Infinity, -Infinity])
        await rejects(async () => nonces.claim('a', 'nonce', until), { code: 'UNAVAILABLE' })
      strictEqual(await nonces.claim('a', 'nonce', soon()), true)
    })

    test('refuses only the app that floods it, and drops no nonce', async (tested) => {
      const { nonces, maxPerApp } = tested
      if (maxPerApp === undefined) return
      const claimed: string[] = []
      const refused: string[] = []
      for (let count = 0; count < maxPerApp * 2; count += 1) {
        const nonce = randomUUID()
        try {
          strictEqual(await nonces.claim('flooded', nonce, soon()), true)
          claimed.push(nonce)
        } catch (error) {
          strictEqual((error as { code?: unknown }).code, 'UNAVAILABLE')
          refused.push(nonce)
        }
      }
      ok(claimed.length <= maxPerApp, `${claimed.length} nonces of one app are stored`)
      ok(claimed.length >= maxPerApp / 2, `only ${claimed.length} nonces of one app are stored`)
      const again = await Promise.all(claimed.map(async (nonce) => nonces.claim('flooded', nonce, soon())))
      deepStrictEqual(again.filter(Boolean), [])
      strictEqual(await nonces.claim('another', refused[0] ?? '', soon()), true)
    })
  })
}
