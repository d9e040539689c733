import type { Decision, GuardName } from '../decision.ts'
import { ConfigError } from '../errors.ts'
import type { DescribedQuestion, RequestDescription } from '../http/described-request.ts'
import GUARDS from '../http/guards.ts'
import { judge } from '../http/judge.ts'
import { JudgedRequest } from '../http/judged-request.ts'
import { NodeFacts } from '../http/request/facts.ts'
import { namedReturnUrl } from '../http/return-url-guard.ts'
import { compilePolicy, type CompiledPolicy } from '../policy/compile.ts'
import { readPolicy } from '../policy/parse.ts'
import { GUARD_NAMES } from '../policy/sections.ts'
import { repeatedHeader } from '../policy/written-request.ts'
import { parseAppKeys } from '../signature/keys.ts'
import type { App, PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { compareWithEntries, type Comparison } from './comparisons.ts'
import { requestLike } from './description.ts'
import { namedSets } from './named-sets.ts'
import { signed } from './signed.ts'

export interface Explanation {
  /** Whether every guard that enforces would let the request pass. */
  readonly passes: boolean
  /** One decision per guard in the order of `protect`, with `detail` and `evidence`. For operators only. */
  readonly decisions: readonly Decision[]
  /**
   * The address, the `Origin` (or else the `X-Origin`) and the return URL of the request in canonical form, each with the
   * nearest entries of the policy. For operators only.
   */
  readonly comparisons: readonly Comparison[]
}

/**
 * Returns how the guards would decide a request, and why. Needs no server and no store, and has no side effects: no nonce is
 * claimed and nothing is recorded. Uses the same parser, facts and guards as a real request. A named list that is not in the
 * description does not exist: in `lists` it admits no address, in `denyLists` it refuses every address.
 *
 * @throws PolicyError if the document or the keys are invalid.
 * @throws ConfigError if the jurisdictions are invalid, or if the names of two headers differ only in case.
 */
export function explain(document: unknown, description: RequestDescription): Explanation {
  const questions = Object.values(GUARDS).map(({ described }) => described)
  return explainBy(questions, document, description)
}

/** Runs these guards, in this order, as a server would. */
export function explainBy(
  questions: readonly DescribedQuestion[],
  document: unknown,
  description: RequestDescription,
): Explanation {
  const read = readPolicy(document)
  const asked = ask(
    questions,
    compilePolicy(read, namedSets(Object.hasOwn(description, 'lists') ? description.lists : undefined)),
    description,
  )
  const { request, facts, decisions } = asked
  const { relativeTo, reserved } = request
  return {
    passes: passes(decisions),
    decisions,
    comparisons: compareWithEntries(read, facts, namedReturnUrl(request), { relativeTo, reserved }),
  }
}

/** Whether a request with these decisions passes. */
export function passes(decisions: readonly Decision[]): boolean {
  return decisions.every(({ effect, mode }) => effect === 'allow' || mode !== 'enforce')
}

/** The decisions of these guards on a described request, by a compiled policy, in the order of `protect`. */
export function decisionsOf(
  policy: CompiledPolicy,
  description: RequestDescription,
  guards: readonly GuardName[] = GUARD_NAMES,
): readonly Decision[] {
  const questions = Object.entries(GUARDS).flatMap(([name, { described }]) =>
    guards.includes(name as GuardName) ? [described] : [],
  )
  return ask(questions, policy, description).decisions
}

interface Asked {
  readonly request: RequestDescription
  readonly facts: NodeFacts
  readonly decisions: readonly Decision[]
}

function ask(
  questions: readonly DescribedQuestion[],
  policy: CompiledPolicy,
  description: RequestDescription,
): Asked {
  // Only own properties: inherited ones are not part of the description.
  const own = Object.assign(Object.create(null), description) as RequestDescription
  const repeated = repeatedHeader(own.headers ?? {})
  if (repeated !== undefined)
    throw new ConfigError('headers', 'a record with each name once, in upper or lower case', repeated)
  const request = signed(own)
  const keys = parseAppKeys(request.keys ?? [])
  const req = requestLike(request)
  const facts = new NodeFacts(req)
  const settings = {
    policies: sourceOf({ appId: policy.appId, revision: 0, policy, keys }),
    appId: () => policy.appId,
    optionTimeout: 1,
    stranger: undefined,
  }
  const judged = new JudgedRequest(req, facts)
  const decisions = questions.flatMap((describe) => {
    const question = describe(request)
    if (question === undefined) return []
    const answer = judge(question, judged, settings)
    if (isThenable(answer)) throw new TypeError('a described request must be judged synchronously')
    return [answer.decision]
  })
  return { request, facts, decisions }
}

/** The part of a policy source that judging needs, for one app. */
function sourceOf(app: App): PolicySource {
  const asked = { peek: () => app, load: () => Promise.resolve(app), knowsOrigins: false } as const
  return asked as unknown as PolicySource
}
