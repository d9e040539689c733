import type { Jurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { ListEntry } from '../list/entry.ts'
import type { WrittenRequest } from '../policy/written-request.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Question } from './judge.ts'

/** A made-up request, as in expectations and comparisons. Members that are left out were not sent. */
export interface RequestDescription extends Omit<WrittenRequest, 'body' | 'returnUrl' | 'country'> {
  readonly body?: string | Uint8Array | undefined
  /** What the `returnUrl` option would find. Left out, `returnUrlGuard` is not asked. */
  readonly returnUrl?: unknown
  /** The option of `returnUrlGuard` with this name. */
  readonly relativeTo?: string | undefined
  readonly reserved?: readonly string[] | undefined
  /** What the `personId` option would find. */
  readonly personId?: unknown
  /** What the `country` option would find. */
  readonly country?: unknown
  readonly jurisdictions?: Jurisdictions | undefined
  /** The keys of the app, for its signatures. Default: no keys. A request with `signature` is signed by one more. */
  readonly keys?: readonly AppKey[] | undefined
  /** The named lists of the store, by their names. Default: no lists. */
  readonly lists?: ReadonlyMap<string, readonly ListEntry[]> | undefined
  /** When the request is judged, in milliseconds since the epoch. Default now. */
  readonly now?: number | undefined
}

/** A question that a guard is asked about a described request. `undefined` where the description leaves out what it needs. */
export type DescribedQuestion = (
  description: RequestDescription,
  // oxlint-disable-next-line typescript/no-explicit-any -- each guard keeps its own facts and outcome to itself
) => Question<any, any> | undefined
