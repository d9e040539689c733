/* oxlint-disable max-lines-per-function -- each function is a suite: it is as long as its tests are many */
import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { checkExpectations } from '../explain/expectations.ts'
import type { ManagedPolicyStore } from '../store/contract.ts'
import { rollbackPolicy } from '../store/rollback.ts'
import { conflicts, KEY, policy } from './store-examples.ts'

/** The part of the contract about checked writes. */
export function checkContract(
  test: (title: string, body: (store: ManagedPolicyStore) => Promise<void>) => void,
): void {
  const office = { name: 'the office may call', request: { address: '203.0.113.9' }, guards: ['ipWhitelist'] }
  const admitting = (...ranges: string[]): object => ({
    appId: 'a',
    ipWhitelist: { mode: 'enforce', ranges },
    expect: [{ ...office, effect: 'allow' }],
  })

  test('calls the check of a write with the policy as it will be stored, and waits for it', async (store) => {
    const asked: unknown[] = []
    const check = async (given: unknown): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve))
      asked.push(given)
    }
    strictEqual(await store.write({ policy: policy('a', ['HTTPS://A.example']) }, 0, {}, { check }), 1)
    deepStrictEqual(
      asked,
      [policy('a', ['https://a.example'])].map((one) => addDefaults(one)),
    )
    strictEqual(await store.write({ policy: policy('a') }, 1, {}, {}), 2)
    strictEqual(asked.length, 1)
  })

  test('writes nothing that a check refuses, and rejects with the error of the check', async (store) => {
    const refusal = new Error('refused')
    const checks = [
      (): void => {
        throw refusal
      },
      () => Promise.reject(refusal),
    ]
    for (const check of checks) {
      const is = (error: unknown): boolean => error === refusal
      await rejects(store.write({ policy: policy('a'), keys: [KEY] }, 0, {}, { check }), is)
      strictEqual(await store.read('a'), undefined)
      deepStrictEqual(await store.history('a'), [])
      await rejects(store.write({ policy: policy('b') }, 0, { author: 'x' }, { check }), is)
    }
    // The key was not claimed either, so another app can have it.
    strictEqual(await store.write({ policy: policy('b'), keys: [KEY] }, 0), 1)
  })

  test('refuses a check that is not a function, and an unknown option', async (store) => {
    for (const options of [{ check: 'expectations' }, { chek: () => undefined }])
      await rejects(store.write({ policy: policy('a') }, 0, {}, options as object), {
        code: 'CONFIG_INVALID',
      })
    strictEqual(await store.read('a'), undefined)
  })

  test('refuses a policy that breaks its own expectation, with the failing case', async (store) => {
    const check = checkExpectations()
    strictEqual(await store.write({ policy: admitting('203.0.113.0/24') }, 0, {}, { check }), 1)
    await rejects(
      store.write({ policy: admitting('198.51.100.0/24') }, 1, {}, { check }),
      (error: unknown) => {
        const { code, failures } = error as { code: string; failures: { name: string; got: string }[] }
        deepStrictEqual(
          [code, failures.map(({ name, got }) => [name, got])],
          ['EXPECTATION_BROKEN', [['the office may call', 'ADDRESS_NOT_ALLOWED']]],
        )
        return true
      },
    )
    strictEqual((await store.read('a'))?.revision, 1)
    // Without a check, the policy is written unchanged: the writer decides whether to check.
    strictEqual(await store.write({ policy: admitting('198.51.100.0/24') }, 1), 2)
    await rejects(rollbackPolicy(store, 'a', { to: 2, replaces: 2, check }), { code: 'EXPECTATION_BROKEN' })
    strictEqual(await rollbackPolicy(store, 'a', { to: 1, replaces: 2, check }), 3)
  })

  test('keeps the expectations of a policy as they were written', async (store) => {
    await store.write({ policy: admitting('203.0.113.9') }, 0)
    const stored = (await store.read('a'))?.policy as { expect: readonly object[] }
    deepStrictEqual(JSON.parse(JSON.stringify(stored.expect)), [
      { ...office, request: { address: '203.0.113.9', url: 'https://gateway.example/' }, effect: 'allow' },
    ])
  })

  test('detects a conflict after a check has accepted the write', async (store) => {
    await store.write({ policy: policy('a') }, 0)
    await conflicts(store.write({ policy: policy('a') }, 0, {}, { check: () => undefined }), 0, 1)
  })
}

function addDefaults(document: object): object {
  return JSON.parse(JSON.stringify(document)) as object
}
