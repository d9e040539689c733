import { allow, deny, type DenialCode, type GuardName } from '../decision.ts'
import { decideDomainProtect, type CorsGrant } from '../guards/domain-protect.ts'
import type { Judgement } from '../guards/guard.ts'
import { parseOrigin } from '../match/origin.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import { unionOfCors } from '../policy/cors.ts'
import type { PolicySource } from '../source/index.ts'
import type { RequestFacts } from './request/facts.ts'

/** The judgement of a preflight that `domainProtect` gave in place of the guard that was asked. */
export interface PreflightJudgement extends Judgement<CorsGrant> {
  readonly preflight: true
}

/**
 * Answers a preflight for a guard that cannot judge one: as `domainProtect` does, where the app enforces that.
 * `undefined` where the guard is asked as usual: this is no preflight, or the guard does not enforce and must change
 * nothing.
 */
export function judgePreflight(
  guard: GuardName,
  policy: CompiledPolicy,
  facts: RequestFacts,
): PreflightJudgement | undefined {
  if (policy[guard]?.mode !== 'enforce' || policy.domainProtect?.mode !== 'enforce') return undefined
  if (!facts.preflight) return undefined
  return { ...decideDomainProtect(policy, facts), preflight: true }
}

/**
 * Judges a preflight that names no app, as it is where the app id stands in a header. The first guard that meets it
 * answers it, and it goes no further: an origin is told what any app may tell it that has it among its domains. That is
 * leave to ask and not access: the request that follows is judged by its own app, and so is what a page may read of the
 * response.
 */
export async function judgeUnnamedPreflight(
  policies: PolicySource,
  text: string,
): Promise<PreflightJudgement> {
  const origin = parseOrigin(text)
  if (origin === undefined || origin !== text) {
    return refused('ORIGIN_NOT_ALLOWED', '`Origin` is not a serialised origin')
  }
  try {
    const found = (await policies.appsByOrigin(origin)).flatMap(({ appId, policy: { domainProtect } }) => {
      const entry = domainProtect?.domains.find(origin)
      return domainProtect === undefined || entry === undefined
        ? []
        : [{ appId, entry, settings: domainProtect.cors }]
    })
    const [first, ...others] = found
    if (first === undefined) return refused('ORIGIN_NOT_ALLOWED', 'no app has this domain')
    const evidence = { case: 'preflight', entry: first.entry, app: first.appId, apps: found.length }
    const detail = 'a preflight that names no app, from a domain of some app'
    const settings = unionOfCors([first.settings, ...others.map((other) => other.settings)])
    return {
      decision: allow('domainProtect', 'enforce', detail, evidence),
      outcome: { origin, settings },
      preflight: true,
    }
  } catch {
    return refused('POLICY_UNAVAILABLE', 'the store could not look up apps by origin')
  }
}

function refused(code: DenialCode, detail: string): PreflightJudgement {
  return { decision: deny('domainProtect', 'enforce', code, detail, { case: 'preflight' }), preflight: true }
}
