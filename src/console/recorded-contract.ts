// Types of the API for recorded requests.
import type { AuditEvent } from '../audit/event.ts'
import type { SubjectReport } from '../audit/reading/subject-report.ts'
import type { GuardName, Mode } from '../decision.ts'
import type { RecordedCall } from '../explain/recorded-facts.ts'
import type { LocationStatus } from '../region/regional-store.ts'

/** What one protection has decided since its mode was changed, or in the requests that were counted. */
export interface GuardTraffic {
  readonly mode: Mode
  /** When the first of them arrived, ISO 8601. */
  readonly since: string
  readonly judged: number
  /** How many it refused, or would have refused. */
  readonly denied: number
}

export interface HourOfTraffic {
  readonly at: string
  readonly passed: number
  readonly refused: number
  /** Passed because a protection only reports. */
  readonly reported: number
}

export interface TrafficView {
  readonly requests: number
  /** Whether these are all requests of the last seven days, and not only the newest. */
  readonly isComplete: boolean
  readonly guards: readonly (GuardTraffic & { readonly guard: GuardName })[]
  /** The last 24 hours, oldest first. */
  readonly hours: readonly HourOfTraffic[]
}

export interface RequestRow {
  readonly requestId: string
  readonly time: string
  readonly operation: string
  readonly outcome: string
  readonly status?: number | undefined
  /** A pseudonym. */
  readonly address?: string | undefined
  readonly refusals: readonly {
    readonly guard: GuardName
    readonly mode: Mode
    readonly code: string
    readonly detail: string
  }[]
}

export interface RequestRows {
  readonly rows: readonly RequestRow[]
}

export interface RequestView {
  readonly requestId: string
  /** Oldest first. */
  readonly events: readonly AuditEvent[]
}

/** How many requests of the last seven days a key has signed. */
export interface KeyUse {
  readonly id: string
  readonly calls: number
  /** ISO 8601. */
  readonly lastUse: string
}

export interface KeyUsesView {
  readonly uses: readonly KeyUse[]
  /** Whether these are all requests of the last seven days, and not only the newest. */
  readonly isComplete: boolean
}

/** A caller that signs with a key. */
export interface KeyCaller {
  readonly address?: string | undefined
  readonly isPseudonym: boolean
  readonly operation: string
  readonly calls: number
  readonly lastUse: string
}

export interface KeyCallersView {
  readonly callers: readonly KeyCaller[]
  readonly isComplete: boolean
}

export type NewDecision =
  | 'unknown'
  | {
      readonly effect: 'allow' | 'deny'
      readonly mode: Mode
      readonly code: string
      readonly detail: string
    }

export interface JudgedAgain {
  readonly guard: GuardName
  readonly recorded: string
  readonly now: NewDecision
  readonly draft?: NewDecision | undefined
}

/** An entry that would let a recorded request pass. */
export interface MissingEntry {
  readonly guard: GuardName
  readonly list: 'ipWhitelist.ranges' | 'domainProtect.domains' | 'returnUrlGuard.urls'
  readonly entry: string
  /** Why a policy would refuse this entry. */
  readonly refused?: string | undefined
  /** The nearest entry of the list, and how it differs: ``differs in port: `8443`, the entry has `443` ``. */
  readonly nearest?: { readonly entry: string; readonly text: string } | undefined
}

/** A recorded request, judged again. */
export interface JudgementView {
  readonly appId: string
  /** The revision in force. */
  readonly revision: number
  readonly hasDraft: boolean
  /** Whether the facts of the request were kept. Without them, little can be judged again. */
  readonly kept: 'kept' | 'not recorded' | 'sealed'
  readonly decisions: readonly JudgedAgain[]
  readonly call: RecordedCall
  /** For the refusals that remain with the draft; without a draft, with the policy in force. */
  readonly missing: readonly MissingEntry[]
}

export type AccessReportView = SubjectReport & {
  /** `false` if older events were not searched. */
  readonly isComplete?: boolean | undefined
}

export interface RegionsView {
  readonly locations: readonly LocationStatus[]
}
