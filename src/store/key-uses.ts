import type { AppKey } from '../signature/keys.ts'
import type { ListedKey } from './contract.ts'

/** For how long a store remembers when a key was last used, in milliseconds: a year and a month. */
export const USES_KEPT: number = 400 * 86_400_000

/** What may be shown of keys. Member by member, so that nothing is shown for having been there. */
export function listKeys(
  keys: readonly AppKey[],
  lastUsed: (keyId: string) => number | undefined,
): readonly ListedKey[] {
  return keys.map(({ id, algorithm, notBefore, notAfter }) => {
    const at = lastUsed(id)
    return Object.freeze({
      id,
      algorithm,
      ...(notBefore !== undefined && { notBefore }),
      ...(notAfter !== undefined && { notAfter }),
      ...(at !== undefined && { lastUsed: new Date(at).toISOString() }),
    })
  })
}

/** Whether this can be a moment at which a key was used. */
export function isUse(at: unknown): at is number {
  return Number.isFinite(at) && Math.abs(at as number) <= LAST_DAY
}

// ECMA-262 21.4.1.1: what a Date can hold.
const LAST_DAY = 8.64e15
