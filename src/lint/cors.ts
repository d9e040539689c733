import { finding, type PolicyFinding } from './finding.ts'
import type { DomainProtection } from '../policy/policy.ts'

/** What there is to say about what pages may do across origins. */
export function lintCors({ domains, credentials }: DomainProtection): PolicyFinding[] {
  if (credentials !== true || !domains.some((text) => text.includes('*'))) return []
  const message =
    'with a wildcard, a subdomain that somebody takes over reads with the cookies of its visitors: name the ones that call'
  return [finding('credentials-wildcard', 'domainProtect.credentials', message)]
}
