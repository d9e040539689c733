import { allow, deny, type Decision, type DenialCode } from '../decision.ts'
import type { OriginDecision } from '../guards/domain-protect.ts'
import { parseOrigin } from '../match/origin.ts'
import { unionOfCors } from '../policy/cors.ts'
import type { PolicySource } from '../source/index.ts'

/**
 * A preflight does not say which app will call when its id stands in a header. Whichever guard meets it first answers it,
 * and it goes no further: an origin is told what any app may tell it that has it among its domains. That is leave to ask
 * and no access: the request that follows is judged by its own app, and so is what a page may read of the response.
 */
export async function judgeUnnamedPreflight(policies: PolicySource, text: string): Promise<Decision> {
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
    const decision: OriginDecision = {
      ...allow(
        'domainProtect',
        'enforce',
        'a preflight that names no app, from a domain of some app',
        evidence,
      ),
      cors: { origin, settings: unionOfCors([first.settings, ...others.map(({ settings }) => settings)]) },
    }
    return decision
  } catch {
    return refused('POLICY_UNAVAILABLE', 'the store could not look for apps by origin')
  }
}

function refused(code: DenialCode, detail: string): Decision {
  return deny('domainProtect', 'enforce', code, detail, { case: 'preflight' })
}
