import type { Jurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { ListEntry } from '../list/entry.ts'
import type { WrittenRequest } from '../policy/written-request.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Question } from './judge.ts'

/** A described request, as in expectations and comparisons. Omitted members were not sent. */
export interface RequestDescription extends Omit<WrittenRequest, 'body' | 'returnUrl' | 'country'> {
  readonly body?: string | Uint8Array | undefined
  /** The value that the `returnUrl` option would return. If it is omitted, `returnUrlGuard` does not run. */
  readonly returnUrl?: unknown
  /** The option of `returnUrlGuard` with this name. */
  readonly relativeTo?: string | undefined
  readonly reserved?: readonly string[] | undefined
  /** The value that the `personId` option would return. */
  readonly personId?: unknown
  /** The value that the `country` option would return. */
  readonly country?: unknown
  readonly jurisdictions?: Jurisdictions | undefined
  /** The keys of the app. Default: no keys. A request with `signature` is signed with an additional key. */
  readonly keys?: readonly AppKey[] | undefined
  /** The named lists of the store, by name. Default: no lists. */
  readonly lists?: ReadonlyMap<string, readonly ListEntry[]> | undefined
  /** When the request is judged, in milliseconds since the epoch. Default now. */
  readonly now?: number | undefined
}

/** How a guard judges a described request. `undefined` if the description lacks what the guard needs. */
export type DescribedQuestion = (
  description: RequestDescription,
  // oxlint-disable-next-line typescript/no-explicit-any -- each guard keeps its own facts and outcome to itself
) => Question<any, any> | undefined
