import type { AuditEvent, OperationEvent } from '../audit/event.ts'
import { judgedSealer, type JudgedKey, type JudgedSealer } from '../audit/judged-facts.ts'
import type { Decision, DenialCode } from '../decision.ts'
import { judgeAgain, type JudgingMeans } from '../guards/judge-again.ts'
import type { KeptFacts } from '../guards/kept-facts.ts'
import {
  compileJurisdictions,
  DEFAULT_JURISDICTIONS,
  type Jurisdictions,
} from '../jurisdiction/jurisdictions.ts'
import { JudgingPolicies, type JudgedPolicy, type ListOf, type PolicyOf } from './judging-policies.ts'
import { openKept, type Kept } from './recorded-facts.ts'

export interface RejudgeOptions {
  /** Recorded events, such as those of `createAuditReader` or `readEvents`. Only operation events are used. */
  readonly events: AsyncIterable<AuditEvent> | Iterable<AuditEvent>
  /** The `judgements.key` of `auditAccess`. */
  readonly key: JudgedKey
  /**
   * Returns the document of an app at a revision, or the draft to try instead; `undefined` if it is no longer known. If
   * `parsePolicy` refuses the document, `rejudge` rejects with that error.
   */
  readonly policyOf: PolicyOf
  /**
   * Returns the entries of a named list. Without it, or if the entries have changed since, decisions that need the list are not
   * judged.
   */
  readonly listOf?: ListOf | undefined
  /** The option of `regionPin`. */
  readonly jurisdictions?: Jurisdictions | undefined
  /** Called with each difference. */
  readonly onDifference?: ((difference: JudgedDifference) => void) | undefined
}

/** A decision that would change. */
export interface JudgedDifference {
  readonly eventId: string
  readonly requestId: string
  readonly appId: string
  readonly recorded: Decision
  readonly now: Decision
}

/** Why a decision cannot be judged again. */
export type NotJudged = 'not recorded' | 'sealed' | 'policy' | 'list' | 'not of the policy'

export interface RejudgeReport {
  /** The number of decisions in the events. */
  readonly decisions: number
  readonly same: number
  readonly different: number
  /**
   * The decisions that cannot be judged again, by reason. `not recorded`: their facts were not stored. `sealed`: the key is
   * missing or a different one. `policy`, `list`: the policy or list that they were judged by is gone. `not of the policy`:
   * there was no app or no policy, or an option failed.
   */
  readonly notJudged: Readonly<Record<NotJudged, number>>
  /** The first hundred differences. */
  readonly differences: readonly JudgedDifference[]
}

const MOST_DIFFERENCES = 100
/** Codes of decisions that were made without a policy. */
const GIVEN: ReadonlySet<string> = new Set<DenialCode>([
  'APP_UNIDENTIFIED',
  'APP_UNKNOWN',
  'POLICY_UNAVAILABLE',
  'OPTION_FAILED',
])

/**
 * Judges recorded requests again with the guards of this version and the given policies, and reports the decisions that would
 * change. With the recorded revisions, this verifies the log; with a draft, it shows what the draft would change.
 *
 * Whether a signature was valid and whether its nonce was new are taken from the record.
 *
 * @throws PolicyError (as a rejection) if a policy or an entry of a list is invalid.
 */
export async function rejudge(options: RejudgeOptions): Promise<RejudgeReport> {
  const run = new Rejudging(options)
  for await (const event of options.events) {
    if (event.kind === 'operation') await run.take(event)
  }
  return run.report
}

class Rejudging {
  readonly #options: RejudgeOptions
  readonly #sealer: JudgedSealer
  readonly #policies: JudgingPolicies
  readonly #means: JudgingMeans
  readonly report = {
    decisions: 0,
    same: 0,
    different: 0,
    notJudged: { 'not recorded': 0, sealed: 0, policy: 0, list: 0, 'not of the policy': 0 },
    differences: [] as JudgedDifference[],
  }

  constructor(options: RejudgeOptions) {
    this.#options = options
    this.#sealer = judgedSealer(options.key)
    this.#policies = new JudgingPolicies(options.policyOf, options.listOf)
    const jurisdictions = compileJurisdictions(
      options.jurisdictions ?? DEFAULT_JURISDICTIONS,
      'rejudge.jurisdictions',
    )
    this.#means = { jurisdictions }
  }

  async take(event: OperationEvent): Promise<void> {
    const { decisions, appId, revision } = event
    if (decisions.length === 0) return
    this.report.decisions += decisions.length
    const rest = revision === undefined ? [] : decisions.filter(({ code }) => !GIVEN.has(code))
    this.report.notJudged['not of the policy'] += decisions.length - rest.length
    if (rest.length === 0 || revision === undefined) return
    const kept = openKept(event, this.#sealer)
    if (typeof kept === 'string' || appId === undefined) {
      this.#cannot(typeof kept === 'string' ? kept : 'not recorded', rest.length)
      return
    }
    const policy = await this.#policies.find(appId, revision, kept.lists)
    if (policy === undefined) this.#cannot('policy', rest.length)
    else for (const decision of rest) this.#judge({ ...event, appId }, decision, kept, policy)
  }

  #judge(
    event: OperationEvent & { readonly appId: string },
    recorded: Decision,
    kept: Kept,
    { policy, missing }: JudgedPolicy,
  ): void {
    const { guard } = recorded
    if (guard === 'ipWhitelist' && missing) {
      this.#cannot('list', 1)
      return
    }
    const now = judgeAgain(policy, recorded, factsFor(event.decisions, recorded, kept), this.#means)
    if (now === undefined) this.#cannot('not recorded', 1)
    else if (isSame(recorded, now)) this.report.same += 1
    else {
      this.report.different += 1
      const { id: eventId, requestId, appId } = event
      const difference = { eventId, requestId, appId, recorded, now }
      if (this.report.differences.length < MOST_DIFFERENCES) this.report.differences.push(difference)
      this.#options.onDifference?.(difference)
    }
  }

  #cannot(why: NotJudged, count: number): void {
    this.report.notJudged[why] += count
  }
}

/**
 * The stored facts of a decision. `undefined` if a guard made more decisions than facts were stored, because the match is
 * then unclear.
 */
function factsFor(
  decisions: readonly Decision[],
  recorded: Decision,
  { facts }: Kept,
): KeptFacts | undefined {
  const own = decisions.filter(({ guard }) => guard === recorded.guard)
  const kept = facts.filter(({ guard }) => guard === recorded.guard)
  return own.length === kept.length ? kept[own.indexOf(recorded)] : undefined
}

function isSame(one: Decision, other: Decision): boolean {
  return one.effect === other.effect && one.mode === other.mode && one.code === other.code
}
