import type { Jurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Question } from './judge.ts'

/** A made-up request. What is left out was not sent. */
export interface RequestDescription {
  /** Default `GET`. */
  readonly method?: string | undefined
  /** The absolute URL that is called. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array | undefined
  /** The client address. */
  readonly address?: string | undefined
  /** What the `returnUrl` option would find. Left out, `returnUrlGuard` is not asked. */
  readonly returnUrl?: unknown
  /** The options of `returnUrlGuard` with these names. */
  readonly relativeTo?: string | undefined
  readonly reserved?: readonly string[] | undefined
  /** What the `personId` option would find. */
  readonly personId?: unknown
  /** What the `country` option would find. */
  readonly country?: unknown
  /** The location of the instance. Left out, `regionPin` is not asked. */
  readonly here?: string | undefined
  readonly jurisdictions?: Jurisdictions | undefined
  /** The keys of the app, for its signatures. Default: no keys. */
  readonly keys?: readonly AppKey[] | undefined
  /** When the request is judged, in milliseconds since the epoch. Default now. */
  readonly now?: number | undefined
}

/** A question that a guard is asked about a described request. `undefined` where the description leaves out what it needs. */
export type DescribedQuestion = (
  description: RequestDescription,
  // oxlint-disable-next-line typescript/no-explicit-any -- each guard keeps its own facts and outcome to itself
) => Question<any, any> | undefined
