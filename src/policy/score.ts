import type { PolicyFinding, Severity } from '../lint/finding.ts'
import { findingsOf } from './lint.ts'
import { readPolicy, type ReadPolicy } from './parse.ts'
import type { Policy } from './policy.ts'
import type { Mode } from './section.ts'
import { GUARD_NAMES, RULES, type GuardName } from './sections.ts'

/** The score of a policy: how much of the possible protection it uses. */
export interface PolicyScore {
  /** An integer from 0 to 100. 100 means that every guard enforces and there are no findings. */
  readonly score: number
  /** All findings. Those that cost most points come first; then by severity, then in the order of the document. */
  readonly fixes: readonly PolicyFinding[]
}

/** The share of its points that a guard gets for its mode. A missing section gets none, like `off`. */
const SHARES: Readonly<Record<Mode, number>> = { enforce: 1, report: 0.25, off: 0 }

/** The factor by which a kind of finding reduces the points of its section, however often it occurs. */
const LEAVES: Readonly<Record<Severity, number>> = { danger: 0.25, warning: 0.7, advice: 0.95 }

const SEVERITY_ORDER: readonly Severity[] = ['danger', 'warning', 'advice']

/**
 * Returns how much of the possible protection a policy uses, and what to do next. `serverOnly`, `ipWhitelist`,
 * `domainProtect` and `returnUrlGuard` are worth 20 points each, `regionPin` and `auditAccess` 10 points each. A guard gets
 * all of its points in `enforce`, a quarter in `report`, and none in `off` or if its section is missing. Each kind of finding
 * in a section reduces these points to 25 % (danger), 70 % (warning) or 95 % (advice). A stricter mode or one finding less
 * never lowers the score.
 *
 * @throws PolicyError if the document is invalid.
 */
export function scorePolicy(document: unknown): PolicyScore {
  return scoreRead(readPolicy(document))
}

/** Like {@link scorePolicy}, for a policy that has been read. */
export function scoreRead(read: ReadPolicy): PolicyScore {
  const { policy } = read
  const findings = findingsOf(read)
  const ranked = findings
    .map((found) => ({
      found,
      cost: costOf(policy, found),
      severity: SEVERITY_ORDER.indexOf(found.severity),
    }))
    .toSorted((a, b) => b.cost - a.cost || a.severity - b.severity)
  return { score: scoreOf(policy, findings), fixes: ranked.map(({ found }) => found) }
}

/** The score of a policy with these findings. */
export function scoreOf(policy: Policy, findings: readonly PolicyFinding[]): number {
  const kept = keptOf(findings)
  const points = GUARD_NAMES.map((name) => RULES[name].points * shareOf(policy, name) * (kept.get(name) ?? 1))
  return Math.floor(points.reduce((sum, one) => sum + one, 0))
}

function shareOf(policy: Policy, name: GuardName): number {
  const section = policy[name]
  return section === undefined ? 0 : SHARES[section.mode]
}

/** The share of its points that each section keeps after its findings. */
function keptOf(findings: readonly PolicyFinding[]): Map<GuardName, number> {
  const counts = new Map<GuardName, Record<Severity, number>>()
  for (const found of new Map(findings.map((one) => [kindOf(one), one])).values()) {
    if (isAboutMode(found)) continue
    const name = sectionOf(found)
    const count = counts.get(name) ?? { danger: 0, warning: 0, advice: 0 }
    count[found.severity] += 1
    counts.set(name, count)
  }
  // Powers in a fixed order, so that rounding does not depend on the order of the findings.
  const kept = (count: Record<Severity, number>): number =>
    SEVERITY_ORDER.reduce((product, severity) => product * LEAVES[severity] ** count[severity], 1)
  return new Map([...counts].map(([name, count]) => [name, kept(count)]))
}

/** The points that a finding would cost if it were the only one in its section. */
function costOf(policy: Policy, found: PolicyFinding): number {
  const name = sectionOf(found)
  const share = shareOf(policy, name)
  return RULES[name].points * (isAboutMode(found) ? 1 - share : share * (1 - LEAVES[found.severity]))
}

/** The mode already has its share of the points. */
function isAboutMode({ code }: PolicyFinding): boolean {
  return code === 'section-missing' || code === 'mode-off' || code === 'mode-report'
}

function kindOf(found: PolicyFinding): string {
  return `${sectionOf(found)} ${found.code}`
}

function sectionOf({ path }: PolicyFinding): GuardName {
  return path.split('.', 1)[0] as GuardName
}
