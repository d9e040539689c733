import type { CompiledJurisdictions, Jurisdictions } from '../../jurisdiction/jurisdictions.ts'
import type { IpIntervals } from '../../match/ip-intervals.ts'
import type { WrittenRequest } from '../written-request.ts'

/** The result of a comparison: the second policy allows the same, less, more, or both less and more. */
export type Verdict = 'equal' | 'narrower' | 'wider' | 'both'

/**
 * What a member of a section decides. `passes`: which requests pass. `grants`: what the pages of admitted origins may do.
 * `answers`: neither, only the answer to a refused request or what is recorded.
 */
export type MemberKind = 'passes' | 'grants' | 'answers'

/** A request for `explain` that shows a difference. */
export interface WitnessRequest extends WrittenRequest {
  /** Default: `DEFAULT_JURISDICTIONS`. */
  readonly jurisdictions?: Jurisdictions | undefined
}

/** Something that one policy allows and the other does not. */
export interface Gain {
  /** The member of the section that decides. */
  readonly member: string
  readonly request: WitnessRequest
  /** The relevant part of the request, in words: `198.51.100.7`. */
  readonly subject: string
  /** What its page may do, as a phrase that follows "may": `read responses with cookies`. Left out: the request passes. */
  readonly grant?: string | undefined
}

/** A section of one of the two policies. */
export interface Side<Section, Lists = object> {
  /** `undefined` if the policy does not have the section. The guard then refuses every request. */
  readonly section: Section | undefined
  /** The parsed lists of the section. */
  readonly lists: Lists
  /** Whether `serverOnly` enforces in the same policy. */
  readonly serverOnlyEnforces: boolean
  /** The addresses that `ipWhitelist` admits if its section enforces. */
  readonly addresses: IpIntervals
}

/** What a comparison depends on besides the policies. */
export interface Comparing {
  readonly jurisdictions: CompiledJurisdictions
  /** The same jurisdictions for a request of `explain`. `undefined`: `DEFAULT_JURISDICTIONS`. */
  readonly namedJurisdictions: Jurisdictions | undefined
}

/** Compares two sections of the same guard. */
export interface SectionComparison<Section, Lists = object> {
  /** What each member decides. The compiler reports a missing member. */
  readonly members: { readonly [Name in keyof Section]-?: MemberKind }
  /**
   * Finds the smallest thing that `to` allows and `from` does not, in steps of well below a millisecond. Exact: if it returns
   * `undefined`, `from` allows everything that `to` allows.
   */
  gains(
    from: Side<Section, Lists>,
    to: Side<Section, Lists>,
    comparing: Comparing,
  ): Generator<void, Gain | undefined> | Gain | undefined
}

/** Whether a section lets every request pass, regardless of its other members. */
export function letsAllPass(section: { readonly mode: string }): boolean {
  return section.mode !== 'enforce'
}
