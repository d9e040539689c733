import { allow, deny, type DenialCode, type GuardName } from '../decision.ts'
import { decideDomainProtect, type CorsGrant } from '../guards/domain-protect.ts'
import type { Judgement } from '../guards/guard.ts'
import { parseOrigin } from '../match/origin.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import { unionOfCors } from '../policy/cors.ts'
import type { PolicySource } from '../source/index.ts'
import type { RequestFacts } from './request/facts.ts'

/** The judgement of a preflight that `domainProtect` gave in place of another guard. */
export interface PreflightJudgement extends Judgement<CorsGrant> {
  readonly preflight: true
}

/**
 * Judges a preflight for a guard that cannot judge one, as `domainProtect` does if the app enforces it. `undefined` if the guard
 * judges the request itself: the request is not a preflight, or the guard is not enforced and must change nothing.
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
 * Judges a preflight that names no app, because its app id is in a header. The first guard answers it, and no other handler sees
 * it. The origin gets the permissions of all apps that list it among their domains. This permits the browser to send the request,
 * and nothing more: the app of that request decides about access, and about what a page may read of the response.
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
