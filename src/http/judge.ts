import { deny, type Decision, type DenialCode, type GuardName, type Refusal } from '../decision.ts'
import { unasked, type Guard, type Judgement } from '../guards/guard.ts'
import { keepFacts } from '../guards/kept-facts.ts'
import type { App, PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { isUnresolved, type AppIdReader, type JudgedRequest, type Unresolved } from './judged-request.ts'
import { judgePreflight, judgeUnnamedPreflight, type PreflightJudgement } from './preflight.ts'
import { OptionFailure } from './request/ask-option.ts'

/** A guard with the source of its facts, and the effect that an allowance may depend on. */
export interface Question<Facts, Outcome> {
  readonly name: GuardName
  readonly guard: Guard<Facts, Outcome>
  /** The facts for the guard. Called only if the policy has the protection and does not switch it off; see `looksWhenOff`. */
  facts(request: JudgedRequest, app: App): Facts | Promise<Facts>
  /** Whether the guard also judges the request if the policy switches the protection off. Default false. */
  readonly looksWhenOff?: boolean
  /** Whether the guard cannot judge a preflight, which has neither body nor credentials. Default false. */
  readonly blindToPreflight?: boolean
  /** Judges a request for an app that does not exist, if `APP_UNKNOWN` would reveal too much. */
  stranger?(request: JudgedRequest): Judgement<Outcome>
  /** An effect that an allowance depends on, such as the claim of a nonce. It runs after all pure checks. */
  claim?(judgement: Judgement<Outcome>, app: App, request: JudgedRequest): Decision | Promise<Decision>
}

/** The settings by which all questions of a mount are judged. */
export interface JudgeSettings {
  readonly policies: PolicySource
  readonly appId: AppIdReader
  /** How long an option that is a function may take, in milliseconds. */
  readonly optionTimeout: number
  /**
   * The question that judges requests for apps that do not exist. In a chain with `serverOnly`, such a request is refused like a
   * wrong signature, by the first guard.
   */
  readonly stranger: Question<unknown, unknown> | undefined
}

/** A refusal because of a fault, either of an option or of our own code. */
export interface FailedJudgement extends Judgement<never> {
  readonly decision: Refusal
  /** The thrown value. Never sent to the caller. */
  readonly error: unknown
}

export type Answer<Outcome> = Judgement<Outcome> | PreflightJudgement | FailedJudgement

/** Whether `domainProtect` answered a preflight in place of the guard. */
export function isByPreflight(answer: Answer<unknown>): answer is PreflightJudgement {
  return Object.hasOwn(answer, 'preflight')
}

/**
 * Judges one request by one question. Needs no response. Never throws or rejects: a fault refuses the request. Returns a promise
 * only if something must be awaited.
 */
export function judge<Facts, Outcome>(
  question: Question<Facts, Outcome>,
  request: JudgedRequest,
  settings: JudgeSettings,
): Answer<Outcome> | Promise<Answer<Outcome>> {
  try {
    const resolved = request.resolve(settings)
    if (!isThenable(resolved)) return judgeFor(question, request, settings, resolved)
    return resolved.then(
      (app) => judgeFor(question, request, settings, app),
      (error: unknown) => failed(question.name, error, undefined),
    )
  } catch (error) {
    return failed(question.name, error, undefined)
  }
}

/** Like {@link judge}, for an app that was already found: several questions in a row find it only once. */
export function judgeFor<Facts, Outcome>(
  question: Question<Facts, Outcome>,
  request: JudgedRequest,
  settings: JudgeSettings,
  app: App | Unresolved,
): Answer<Outcome> | Promise<Answer<Outcome>> {
  try {
    if (isUnresolved(app)) return judgeWithoutApp(question, request, settings, app)
    if (question.blindToPreflight === true) {
      const preflight = judgePreflight(question.name, app.policy, request.facts)
      if (preflight !== undefined) {
        request.kept?.push(keepFacts('domainProtect', request.facts, preflight))
        return preflight
      }
    }
    const settled = unasked(app.policy, question.name) as Judgement<Outcome> | undefined
    if (settled !== undefined && (question.looksWhenOff !== true || settled.decision.effect === 'deny')) {
      return settled
    }
    const facts = question.facts(request, app)
    return isThenable(facts) ? askLater(question, request, app, facts) : ask(question, request, app, facts)
  } catch (error) {
    return failed(question.name, error, isUnresolved(app) ? undefined : app)
  }
}

// The closures for asynchronous cases are in functions of their own, so synchronous calls do not allocate them.

function askLater<Facts, Outcome>(
  question: Question<Facts, Outcome>,
  request: JudgedRequest,
  app: App,
  facts: Promise<Facts>,
): Promise<Answer<Outcome>> {
  return facts.then(
    (known) => ask(question, request, app, known),
    (error: unknown) => failed(question.name, error, app),
  )
}

function settleLater<Facts, Outcome>(
  question: Question<Facts, Outcome>,
  judgement: Judgement<Outcome>,
  app: App,
  claimed: Promise<Decision>,
): Promise<Answer<Outcome>> {
  return claimed.then(
    (settled) => settle(judgement, settled),
    (fault: unknown) => failed(question.name, fault, app),
  )
}

/** Drops the outcome if the effect refused the request. */
function settle<Outcome>(judgement: Judgement<Outcome>, settled: Decision): Judgement<Outcome> {
  return settled === judgement.decision ? judgement : { decision: settled }
}

function ask<Facts, Outcome>(
  question: Question<Facts, Outcome>,
  request: JudgedRequest,
  app: App,
  facts: Facts,
): Answer<Outcome> | Promise<Answer<Outcome>> {
  try {
    const judgement = question.guard(app.policy, facts)
    const { decision, outcome } = judgement
    request.kept?.push(keepFacts(question.name, facts, judgement))
    if (question.claim === undefined || decision.code !== 'ALLOWED' || outcome === undefined) return judgement
    const claimed = question.claim(judgement, app, request)
    return isThenable(claimed) ? settleLater(question, judgement, app, claimed) : settle(judgement, claimed)
  } catch (error) {
    return failed(question.name, error, app)
  }
}

function judgeWithoutApp<Facts, Outcome>(
  question: Question<Facts, Outcome>,
  request: JudgedRequest,
  { stranger, policies }: JudgeSettings,
  { code, detail, error }: Unresolved,
): Answer<Outcome> | Promise<Answer<Outcome>> {
  if (code === 'APP_UNKNOWN' && stranger?.stranger !== undefined) {
    return stranger.stranger(request) as Judgement<Outcome>
  }
  const { facts } = request
  if (code === 'APP_UNIDENTIFIED' && facts.preflight && policies.knowsOrigins) {
    return judgeUnnamedPreflight(policies, facts.origin ?? '')
  }
  const decision = deny(question.name, 'enforce', code, detail)
  return error === undefined ? { decision } : { decision, error }
}

/** The refusal that a fault causes. If an option of one protection failed, its mode in the policy applies. */
export function failed(guard: GuardName, error: unknown, app: App | undefined): FailedJudgement {
  const isOption = error instanceof OptionFailure
  const code: DenialCode = isOption ? 'OPTION_FAILED' : 'POLICY_UNAVAILABLE'
  const cause = isOption ? error.cause : error
  const name = cause instanceof Error ? cause.name : typeof cause
  const detail = isOption ? `${error.message} with ${name}` : `the guard failed with ${name}`
  const mode = (isOption && app?.policy[guard]?.mode) || 'enforce'
  return { decision: deny(guard, mode, code, detail), error: cause }
}
