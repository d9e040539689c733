import { createHash } from 'node:crypto'
import { deepStrictEqual, ok, rejects } from 'node:assert/strict'
import { isPortcullisError } from '../errors.ts'
import type { AppKey } from '../signature/keys.ts'

export const KEY: AppKey = { id: 'key-1', algorithm: 'hmac-sha256', secret: 'A'.repeat(43) + '=' }
export const OTHER_KEY: AppKey = { ...KEY, id: 'key-2', notBefore: '2026-01-01T00:00:00Z' }

/** A key that only this app has, with the id of `KEY`. */
export function keyOf(appId: string): AppKey {
  return { ...KEY, secret: createHash('sha256').update(appId).digest('base64') }
}

export function policy(appId: string, domains?: readonly string[]): object {
  return domains === undefined ? { appId } : { appId, domainProtect: { mode: 'enforce', domains } }
}

export async function conflicts(write: Promise<unknown>, expected: number, actual: number): Promise<void> {
  await rejects(write, (error: unknown) => {
    ok(isPortcullisError(error))
    const { code, ...details } = error as unknown as { code: string; expected: number; actual: number }
    deepStrictEqual([code, details.expected, details.actual], ['REVISION_CONFLICT', expected, actual])
    return true
  })
}
