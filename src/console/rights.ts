/**
 * A right in the console.
 *
 * - `look`: see apps, policies, drafts, keys without their secrets, and the history.
 * - `look-at-personal-data`: see events of the audit, which contain pseudonyms of people.
 * - `narrow`: edit drafts, and publish changes that admit less than before.
 * - `widen`: edit drafts, and publish changes that admit more than before.
 * - `keys`: create, rotate, revoke and restore keys of apps.
 * - `break-glass`: in an emergency, publish without `narrow` or `widen`; a reason is required and recorded.
 */
export type ConsoleRight = 'look' | 'look-at-personal-data' | 'narrow' | 'widen' | 'keys' | 'break-glass'

export const CONSOLE_RIGHTS: readonly ConsoleRight[] = [
  'look',
  'look-at-personal-data',
  'narrow',
  'widen',
  'keys',
  'break-glass',
]

export function isConsoleRight(value: unknown): value is ConsoleRight {
  return CONSOLE_RIGHTS.some((right) => right === value)
}
