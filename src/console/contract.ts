// Types of the API that the dashboard uses.
import type { GuardName, Mode } from '../decision.ts'
import type { BrokenExpectation, PolicyIssue } from '../errors.ts'
import type { Explanation } from '../explain/explain.ts'
import type { PolicyFinding } from '../lint/finding.ts'
import type { ListEntry } from '../list/entry.ts'
import type { Policy } from '../policy/policy.ts'
import type { WrittenRequest } from '../policy/written-request.ts'
import type { ListSummary } from '../store/list-contract.ts'
import type { ConsoleRight } from './rights.ts'

export type * from './recorded-contract.ts'
export type { ConsoleRight, GuardName, Mode, Policy, PolicyFinding, PolicyIssue }

export interface SessionView {
  readonly name: string
  readonly rights: readonly ConsoleRight[]
  readonly csrf: string
  /** Whether the user is signed in to the app that serves the console, and has no token. */
  readonly byApp: boolean
  /** What this console can do with its store and audit. */
  readonly offers: {
    readonly lists: boolean
    readonly events: boolean
    readonly judgements: boolean
    readonly reports: boolean
    readonly regions: boolean
  }
}

export interface AppRow {
  readonly appId: string
  readonly name?: string | undefined
  readonly revision: number
  /** Missing if the stored document is invalid. */
  readonly score?: number | undefined
  /** The highest possible score: 100, or less for an app that only pages call. */
  readonly highestScore?: number | undefined
  readonly modes: Readonly<Partial<Record<GuardName, Mode>>>
  readonly hasDraft: boolean
}

export interface AppRows {
  readonly apps: readonly AppRow[]
  /** The `after` of the next page; missing on the last page. */
  readonly next?: string | undefined
}

/** The apps among some that have a key with a certain id. */
export interface KeyHolders {
  readonly apps: readonly string[]
  /** The apps whose keys could not be read. */
  readonly unread: readonly string[]
  /** The `after` of the next apps to look through; missing if there are none. */
  readonly next?: string | undefined
}

/** The data that the dashboard starts with. */
export interface StartView {
  readonly session: SessionView | null
  /** Where users sign in to the app that serves the console, if not with a token. */
  readonly signInUrl?: string | undefined
  /** The first apps; missing if the user may not see them. */
  readonly apps?: AppRows | undefined
}

export interface Step {
  readonly title: string
  readonly done: boolean
  /** Where to do it on the page of the app. */
  readonly where: 'keys' | GuardName
}

/** The protection that raises the score most. */
export interface NextStep {
  readonly guard: GuardName
  readonly mode: Mode
  /** How many points it adds. */
  readonly gain: number
  readonly reason: string
}

export interface Change {
  readonly path: string
  /** In words: `adds 2 ranges`. */
  readonly sentence: string
  /** At most twenty added or removed entries. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** What a change means for callers. `unknown`: it could not be determined. */
export interface Verdict {
  readonly narrows: boolean | 'unknown'
  readonly widens: boolean | 'unknown'
  /** Which requests are newly admitted or refused, in words. */
  readonly sentences: readonly string[]
}

type MoreFindings = Readonly<Partial<Record<GuardName, number>>>

export interface DraftView {
  readonly version: string
  /** The revision that it is based on. */
  readonly base: number
  /** Whether another revision is in force now. */
  readonly stale: boolean
  readonly policy: Policy
  readonly author: string
  readonly at: string
  readonly score: number
  readonly highestScore: number
  /** At most five of a kind. */
  readonly findings: readonly PolicyFinding[]
  /** How many findings of each protection are left out. */
  readonly moreFindings: MoreFindings
  readonly changes: readonly Change[]
}

export interface AppView {
  readonly appId: string
  readonly revision: number
  readonly policy: Policy
  readonly score: number
  /** The highest possible score: 100, or less for an app that only pages call. */
  readonly highestScore: number
  /** At most five of a kind. */
  readonly findings: readonly PolicyFinding[]
  readonly moreFindings: MoreFindings
  readonly steps: readonly Step[]
  readonly next?: NextStep | undefined
  readonly draft?: DraftView | undefined
}

/**
 * The answer to edits of a draft. The policies are left out if they are those that the caller had, with the edits: nobody else has
 * changed the app or its draft.
 */
export type EditedView = Omit<AppView, 'policy' | 'draft'> & {
  readonly policy?: Policy | undefined
  readonly draft?: (Omit<DraftView, 'policy'> & { readonly policy?: Policy | undefined }) | undefined
}

/** The three versions of a policy: the base, what was written meanwhile, and what was to be written. */
export interface ThreeWay {
  readonly base: Policy | undefined
  readonly theirs: Policy
  readonly yours: Policy
  /** Both edits merged, if they do not conflict. */
  readonly merged?: Policy | undefined
  /** Paths that both have changed to different values. */
  readonly conflicts: readonly string[]
  readonly theirChanges: readonly Change[]
  readonly yourChanges: readonly Change[]
}

export interface Review {
  readonly version: string
  readonly revision: number
  readonly scoreBefore: number
  readonly highestBefore: number
  readonly scoreAfter: number
  readonly highestAfter: number
  readonly changes: readonly Change[]
  readonly verdict: Verdict
  readonly findings: readonly PolicyFinding[]
  /** Named lists that do not exist: such a list admits nobody, and one whose ranges are refused refuses everybody. */
  readonly missingLists: readonly { readonly name: string; readonly refuses: boolean }[]
  /** Rights that are missing to publish it. If it is empty, it may be published. */
  readonly missing: readonly ConsoleRight[]
  readonly conflict?: ThreeWay | undefined
}

export interface KeyView {
  readonly id: string
  readonly algorithm: string
  readonly notBefore?: string | undefined
  readonly notAfter?: string | undefined
  readonly lastUsed?: string | undefined
  readonly state: 'active' | 'ending' | 'not yet' | 'ended'
  /** Until when an ended key can be restored; missing if it no longer can. */
  readonly restorableUntil?: string | undefined
}

export interface KeysView {
  readonly keys: readonly KeyView[]
}

/** A key that was just created. The secret is shown only once. The keys are missing if they could not be read. */
export interface NewKey extends Partial<KeysView> {
  readonly id: string
  readonly secret: string
}

export interface HistoryRow {
  readonly revision: number
  readonly at: string
  readonly author?: string | undefined
  readonly note?: string | undefined
  readonly keysChanged: boolean
  readonly removed: boolean
  readonly changes: readonly Change[]
}

export interface HistoryView {
  readonly rows: readonly HistoryRow[]
  readonly next?: number | undefined
}

/** The verdict on one pasted entry. */
export interface EntryVerdict {
  readonly text: string
  readonly verdict: 'good' | 'refused' | 'known' | 'doubtful'
  /** The form in which it would be stored. */
  readonly canonical?: unknown
  readonly message?: string | undefined
  readonly corrected?: string | undefined
}

/** A request to judge that is not sent. */
export type TriedRequest = WrittenRequest

/** What the guards decide about a request, with the policy in force and with the draft. */
export interface TrialView {
  readonly inForce: Explanation
  readonly draft?: Explanation | undefined
}

export interface EntryVerdicts {
  readonly entries: readonly EntryVerdict[]
  readonly good: number
  readonly refused: number
}

export interface ListsView {
  readonly lists: readonly ListSummary[]
}

export interface ListPage {
  readonly name: string
  readonly revision: number
  readonly size: number
  readonly from: number
  readonly entries: readonly ListEntry[]
  /** Where the next page begins; missing on the last page. */
  readonly next?: number | undefined
}

export interface ProblemView {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly instance: string
  readonly detail?: string | undefined
  readonly issues?: readonly PolicyIssue[] | undefined
  readonly missing?: readonly ConsoleRight[] | undefined
  readonly conflict?: ThreeWay | undefined
  readonly current?: DraftView | undefined
  /** The revision of an app whose stored policy is not valid. */
  readonly revision?: number | undefined
  /** Expectations that the policy fails. */
  readonly failures?: readonly BrokenExpectation[] | undefined
}
