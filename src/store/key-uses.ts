import type { AppKey } from '../signature/keys.ts'
import type { ListedKey } from './contract.ts'

/** How long a store remembers when a key was last used, in milliseconds: a year and a month. */
export const USES_KEPT: number = 400 * 86_400_000

/** The parts of keys that may be shown. Copied by name, so that an unexpected member is never shown. */
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

/** Whether this is a valid time at which a key was used. */
export function isUse(at: unknown): at is number {
  return Number.isFinite(at) && Math.abs(at as number) <= LAST_DAY
}

// The largest time of a Date (ECMA-262, 21.4.1.1).
const LAST_DAY = 8.64e15
