import { deny, type Decision, type DenialCode, type GuardName, type Refusal } from '../decision.ts'
import { unasked, type Guard, type Judgement } from '../guards/guard.ts'
import { keepFacts } from '../guards/kept-facts.ts'
import type { App, PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { isUnresolved, type AppIdReader, type JudgedRequest, type Unresolved } from './judged-request.ts'
import { judgePreflight, judgeUnnamedPreflight, type PreflightJudgement } from './preflight.ts'
import { OptionFailure } from './request/ask-option.ts'

/** One guard as a mount asks it: where its facts come from, and what an allowance depends on besides. */
export interface Question<Facts, Outcome> {
  readonly name: GuardName
  readonly guard: Guard<Facts, Outcome>
  /** Facts for the guard. Asked for only when the policy has the protection and it is not off. */
  facts(request: JudgedRequest, app: App): Facts | Promise<Facts>
  /** Whether the guard looks at the request even where the policy switches it off. Default false. */
  readonly looksWhenOff?: boolean
  /** Whether it cannot judge a preflight, which has neither body nor credentials. Default false. */
  readonly blindToPreflight?: boolean
  /** Answers for an app that does not exist, where `APP_UNKNOWN` would tell too much. */
  stranger?(request: JudgedRequest): Judgement<Outcome>
  /** An effect that an allowance depends on. It comes after every pure check. */
  claim?(judgement: Judgement<Outcome>, app: App, request: JudgedRequest): Decision | Promise<Decision>
}

/** By what a question is judged. */
export interface JudgeSettings {
  readonly policies: PolicySource
  readonly appId: AppIdReader
  /** How long an option that is a function may take, in milliseconds. */
  readonly optionTimeout: number
  /**
   * The question that answers for apps that do not exist. In a chain with `serverOnly` a stranger gets the answer of a
   * wrong signature from the first guard on.
   */
  readonly stranger: Question<unknown, unknown> | undefined
}

/** A judgement that stands for a fault: of an option, or of ours. */
export interface FailedJudgement extends Judgement<never> {
  readonly decision: Refusal
  /** What was thrown, for `onDecision` alone. */
  readonly error: unknown
}

export type Answer<Outcome> = Judgement<Outcome> | PreflightJudgement | FailedJudgement

/** Whether `domainProtect` has answered a preflight in place of the guard that was asked. */
export function isByPreflight(answer: Answer<unknown>): answer is PreflightJudgement {
  return Object.hasOwn(answer, 'preflight')
}

/**
 * Asks one question of one request. Needs no response, and never throws or rejects: a fault refuses. A promise only where
 * something has to be waited for.
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

/** The same for an app that was found already, so that several questions in a row look for it once. */
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

// The closures of what is waited for stand in functions of their own, so that who does not wait pays nothing for them.

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

/** Nothing of the outcome is left where the effect has refused. */
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

/** The refusal that a fault becomes. Of an option that belongs to one protection the mode of the policy holds. */
export function failed(guard: GuardName, error: unknown, app: App | undefined): FailedJudgement {
  const isOption = error instanceof OptionFailure
  const code: DenialCode = isOption ? 'OPTION_FAILED' : 'POLICY_UNAVAILABLE'
  const cause = isOption ? error.cause : error
  const name = cause instanceof Error ? cause.name : typeof cause
  const detail = isOption ? `${error.message} with ${name}` : `the guard failed with ${name}`
  const mode = (isOption && app?.policy[guard]?.mode) || 'enforce'
  return { decision: deny(guard, mode, code, detail), error: cause }
}
