import type { GuardName, Mode } from '../decision.ts'
import { lintAddresses } from './addresses.ts'
import { lintCors } from './cors.ts'
import { finding, type PolicyFinding } from './finding.ts'
import { lintDomains, lintReturnUrls } from './origins.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { AuditProtection, Policy, RegionProtection, ServerOnlyProtection } from '../policy/policy.ts'

/** The sections of a policy, in the order of the document. */
export const SECTIONS: readonly GuardName[] = [
  'serverOnly',
  'ipWhitelist',
  'domainProtect',
  'returnUrlGuard',
  'regionPin',
  'auditAccess',
]

/**
 * What the owner of a policy may not have meant, or could protect better: advice on a document that `parsePolicy` takes, in
 * the order of the document. Each entry is judged in every mode, because it counts from the day the mode is changed. The
 * ranges of named `lists` are not seen. Pure; the work grows with n log n of the entries.
 *
 * @throws PolicyError when the document is refused.
 */
export function lintPolicy(document: unknown): readonly PolicyFinding[] {
  return findingsOf(parsePolicy(document))
}

/** The same for a policy that has been parsed. */
export function findingsOf(policy: Policy): PolicyFinding[] {
  return SECTIONS.flatMap((name) => aboutSection(name, policy[name]))
}

type Rules = { readonly [Name in GuardName]: (section: NonNullable<Policy[Name]>) => PolicyFinding[] }

const rules: Rules = {
  serverOnly: lintServerOnly,
  ipWhitelist: lintAddresses,
  domainProtect: (section) => [...lintDomains(section), ...lintCors(section)],
  returnUrlGuard: lintReturnUrls,
  regionPin: lintRegionPin,
  auditAccess: lintAuditAccess,
}

function aboutSection<Name extends GuardName>(name: Name, section: Policy[Name]): PolicyFinding[] {
  if (section === undefined) return [missing(name)]
  return [...aboutMode(name, section.mode), ...rules[name](section)]
}

function missing(name: GuardName): PolicyFinding {
  const message =
    'is missing: where this guard is mounted it refuses every request; write it, or write mode `off`'
  const complete = name === 'serverOnly' || name === 'regionPin' || name === 'auditAccess'
  return finding('section-missing', name, message, complete ? '{ "mode": "enforce" }' : undefined)
}

function aboutMode(name: GuardName, mode: Mode): PolicyFinding[] {
  if (mode === 'enforce') return []
  const path = `${name}.mode`
  return mode === 'off'
    ? [finding('mode-off', path, 'protects nothing: the guard asks nothing of a request', 'enforce')]
    : [finding('mode-report', path, 'protects nothing yet: refusals are recorded and let pass', 'enforce')]
}

/** How far a clock may reasonably be off, with the way of the request; the default of the schema. */
const LONG_ENOUGH = 300

function lintServerOnly({ maxAge, requireDigest }: ServerOnlyProtection): PolicyFinding[] {
  const findings: PolicyFinding[] = []
  if (maxAge > LONG_ENOUGH) {
    const message = `is over ${LONG_ENOUGH} s: a request caught on its way stays usable, and nonces must be kept, for longer`
    findings.push(finding('max-age-long', 'serverOnly.maxAge', message, String(LONG_ENOUGH)))
  }
  if (!requireDigest) {
    const message = 'lets signatures leave the content out, which then can be changed on the way'
    findings.push(finding('digest-optional', 'serverOnly.requireDigest', message, 'true'))
  }
  return findings
}

function lintRegionPin({ fallback }: RegionProtection): PolicyFinding[] {
  if (fallback === undefined) return []
  const message =
    'decides for people whose country is not known, and can be wrong; left out, they are refused'
  return [finding('region-fallback', 'regionPin.fallback', message)]
}

function lintAuditAccess({ onSinkFailure }: AuditProtection): PolicyFinding[] {
  if (onSinkFailure === 'deny') return []
  const message = 'lets answers leave whose events are lost: personal data is then read without a trace'
  return [finding('audit-loss', 'auditAccess.onSinkFailure', message, 'deny')]
}
