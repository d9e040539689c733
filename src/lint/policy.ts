import { GUARD_NAMES, type GuardName, type Mode } from '../decision.ts'
import { lintAddresses } from './addresses.ts'
import { finding, type PolicyFinding } from './finding.ts'
import { lintDomains, lintReturnUrls } from './origins.ts'
import { readPolicy, type ReadPolicy } from '../policy/parse.ts'
import type { AuditProtection, Policy, RegionProtection, ServerOnlyProtection } from '../policy/policy.ts'

interface Rules<Section> {
  /** The points that `scorePolicy` gives: who may call and where data goes weigh double. */
  readonly points: number
  /** Whether a mode alone makes a section that admits anybody. */
  readonly modeIsEnough: boolean
  readonly lint: (section: Section, read: ReadPolicy) => PolicyFinding[]
}

/** What is known of the section of each guard. */
export const RULES: { readonly [Name in GuardName]: Rules<NonNullable<Policy[Name]>> } = {
  serverOnly: { points: 20, modeIsEnough: true, lint: lintServerOnly },
  ipWhitelist: { points: 20, modeIsEnough: false, lint: lintAddresses },
  domainProtect: { points: 20, modeIsEnough: false, lint: lintDomains },
  returnUrlGuard: { points: 20, modeIsEnough: false, lint: lintReturnUrls },
  regionPin: { points: 10, modeIsEnough: true, lint: lintRegionPin },
  auditAccess: { points: 10, modeIsEnough: true, lint: lintAuditAccess },
}

/**
 * What the owner of a policy may not have meant, or could protect better: advice on a document that `parsePolicy` takes, in
 * the order of the document. Each entry is judged in every mode, because it counts from the day on which the mode is changed.
 * The content of named `lists` is not known here. Pure; the work grows with n log n of the entries.
 *
 * @throws PolicyError when the document is refused.
 */
export function lintPolicy(document: unknown): readonly PolicyFinding[] {
  return findingsOf(readPolicy(document))
}

/** The same for a policy that has been read. */
export function findingsOf(read: ReadPolicy): PolicyFinding[] {
  return GUARD_NAMES.flatMap((name) => aboutSection(name, read.policy[name], read))
}

function aboutSection<Name extends GuardName>(
  name: Name,
  section: Policy[Name],
  read: ReadPolicy,
): PolicyFinding[] {
  if (section === undefined) return [missing(name)]
  return [...aboutMode(name, section.mode), ...RULES[name].lint(section, read), ...duplicates(name, read)]
}

function missing(name: GuardName): PolicyFinding {
  const message =
    'is missing: where this guard is mounted it refuses every request; write the section, or write mode `off`'
  return finding(
    'section-missing',
    name,
    message,
    RULES[name].modeIsEnough ? '{ "mode": "enforce" }' : undefined,
  )
}

function aboutMode(name: GuardName, mode: Mode): PolicyFinding[] {
  if (mode === 'enforce') return []
  const path = `${name}.mode`
  return mode === 'off'
    ? [finding('mode-off', path, 'protects nothing: the guard lets every request pass', 'enforce')]
    : [finding('mode-report', path, 'protects nothing yet: refusals are recorded, and let pass', 'enforce')]
}

/** Entries that mean the same as an earlier one of their list, and are not kept. */
function duplicates(name: GuardName, { duplicates: found }: ReadPolicy): PolicyFinding[] {
  return [...found]
    .filter(([path]) => path.startsWith(`${name}.`))
    .flatMap(([path, list]) =>
      list.map(({ index, first }) => {
        const message = `means the same as \`${path}[${first}]\`, and is not kept: remove it`
        return finding('entry-duplicate', `${path}[${index}]`, message)
      }),
    )
}

/** How far apart clocks may reasonably be, with the time that a request takes; the default of the schema. */
const LONG_ENOUGH = 300

function lintServerOnly({
  maxAge,
  requireDigest,
  requireContentType,
}: ServerOnlyProtection): PolicyFinding[] {
  const findings: PolicyFinding[] = []
  if (maxAge > LONG_ENOUGH) {
    const message = `is over ${LONG_ENOUGH} s: an intercepted request stays usable, and nonces must be kept, for longer`
    findings.push(finding('max-age-long', 'serverOnly.maxAge', message, String(LONG_ENOUGH)))
  }
  if (!requireDigest) {
    const message = 'lets signatures leave the content out, which can then be changed on the way'
    findings.push(finding('digest-optional', 'serverOnly.requireDigest', message, 'true'))
  }
  if (!requireContentType) {
    const message =
      'lets signatures leave `content-type` out: the same bytes can then be read as another form of body, with other parameters'
    findings.push(finding('content-type-optional', 'serverOnly.requireContentType', message, 'true'))
  }
  return findings
}

function lintRegionPin({ fallback }: RegionProtection): PolicyFinding[] {
  if (fallback === undefined) return []
  const message =
    'decides for people whose country is not known, and can be wrong; if it is left out, they are refused'
  return [finding('region-fallback', 'regionPin.fallback', message)]
}

function lintAuditAccess({ onSinkFailure }: AuditProtection): PolicyFinding[] {
  if (onSinkFailure === 'deny') return []
  const message = 'lets responses leave whose events are lost: personal data is then read without a trace'
  return [finding('audit-loss', 'auditAccess.onSinkFailure', message, 'deny')]
}
