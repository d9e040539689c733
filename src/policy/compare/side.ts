import type { CompiledJurisdictions, Jurisdictions } from '../../jurisdiction/jurisdictions.ts'
import type { IpIntervals } from '../../match/ip-intervals.ts'
import type { WrittenRequest } from '../written-request.ts'

/** How one policy stands to another: what it lets pass is the same, less, more, or both less and more. */
export type Verdict = 'equal' | 'narrower' | 'wider' | 'both'

/**
 * What a member of a section decides. `passes`: which requests pass. `grants`: what the pages of those that pass may do.
 * `answers`: nothing of both, but what becomes of a request that is refused, or what is recorded.
 */
export type MemberKind = 'passes' | 'grants' | 'answers'

/** A request that shows a difference, as `explain` takes it. */
export interface WitnessRequest extends WrittenRequest {
  /** Left out: the usual ones. */
  readonly jurisdictions?: Jurisdictions | undefined
}

/** Something that one policy allows and another does not. */
export interface Gain {
  /** The member of the section that decides it. */
  readonly member: string
  readonly request: WitnessRequest
  /** What of the request counts, in words: `198.51.100.7`. */
  readonly subject: string
  /** What its page may do, as it goes on after "may": `read responses with cookies`. Left out: the request passes. */
  readonly grant?: string | undefined
}

/** A section of one of two policies that are compared. */
export interface Side<Section, Lists = object> {
  /** `undefined` where the policy does not have it: then every request is refused. */
  readonly section: Section | undefined
  /** What was parsed of its lists. */
  readonly lists: Lists
  /** Whether `serverOnly` enforces in the same policy. */
  readonly serverOnlyEnforces: boolean
  /** The addresses that an `ipWhitelist` admits, where the section enforces. */
  readonly addresses: IpIntervals
}

/** What two policies are compared by. */
export interface Comparing {
  readonly jurisdictions: CompiledJurisdictions
  /** The same as a request names them; `undefined` for the usual ones. */
  readonly namedJurisdictions: Jurisdictions | undefined
}

/** How a section is compared with another of the same guard. */
export interface SectionComparison<Section, Lists = object> {
  /** What each member decides. The compiler names one that is missing. */
  readonly members: { readonly [Name in keyof Section]-?: MemberKind }
  /**
   * The smallest thing that `to` allows and `from` does not, in steps of well below a millisecond; `undefined`: there is no
   * such thing. Exact: where it finds nothing, everything that `to` allows, `from` allows too.
   */
  gains(
    from: Side<Section, Lists>,
    to: Side<Section, Lists>,
    comparing: Comparing,
  ): Generator<void, Gain | undefined> | Gain | undefined
}

/** Whether a section lets every request pass, whatever its other members say. */
export function letsAllPass(section: { readonly mode: string }): boolean {
  return section.mode !== 'enforce'
}
