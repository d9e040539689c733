import type { GuardName, Mode } from '../decision.ts'
import { parseInstant } from '../instant.ts'
import type { PolicyFinding } from '../lint/finding.ts'
import { lintPolicy } from '../policy/lint.ts'
import { parsePolicy, policyOf, readPolicy } from '../policy/parse.ts'
import type { Policy } from '../policy/policy.ts'
import { scoreOf, scorePolicy, scoreRead, type PolicyScore } from '../policy/score.ts'
import { GUARD_NAMES, RULES } from '../policy/sections.ts'
import type { ListedKey } from '../store/contract.ts'
import type { NextStep, Review, Step } from './contract.ts'

/** The first steps of an app, as far as they are done. Computed: nobody ticks them off. */
export function stepsOf(policy: Policy, keys: readonly ListedKey[], now: number): Step[] {
  const isForPages = livesInBrowser(policy, keys)
  const names = GUARD_NAMES.filter((name) => !isForPages || !isForServers(policy, name))
  const enforced = names.filter((name) => policy[name]?.mode === 'enforce').length
  const first = names.find((name) => policy[name]?.mode !== 'enforce')
  const ofServers: Step[] = [
    { title: "Create a key for the app's servers", done: hasActiveKey(keys, now), where: 'keys' },
    {
      title: 'Send the first signed request',
      done: keys.some(({ lastUsed }) => lastUsed !== undefined),
      where: 'keys',
    },
    {
      title: 'List the addresses that the app calls from',
      done: hasEntries(policy, 'ipWhitelist'),
      where: 'ipWhitelist',
    },
  ]
  return [
    ...(isForPages ? [] : ofServers),
    {
      title: 'List the origins of its pages',
      done: hasEntries(policy, 'domainProtect'),
      where: 'domainProtect',
    },
    {
      title: 'List the URLs that users may return to',
      done: hasEntries(policy, 'returnUrlGuard'),
      where: 'returnUrlGuard',
    },
    {
      title: `Enforce every protection${isForPages ? ' for pages' : ''} (${enforced} of ${names.length} so far)`,
      done: enforced === names.length,
      where: first ?? 'serverOnly',
    },
  ]
}

/** Whether only pages call the app, as far as can be told: it has origins and no key, and nobody wants its requests signed. */
const livesInBrowser = (policy: Policy, keys: readonly unknown[]): boolean =>
  keys.length === 0 && mayLiveInBrowser(policy)

/** Whether only pages call the app, provided that it has no key. */
export const mayLiveInBrowser = (policy: Policy): boolean =>
  hasEntries(policy, 'domainProtect') && (policy.serverOnly?.mode ?? 'off') === 'off'

const hasActiveKey = (keys: readonly ListedKey[], now: number): boolean =>
  keys.some(
    ({ notBefore, notAfter }) =>
      (notBefore === undefined || (parseInstant(notBefore) ?? Infinity) <= now) &&
      (notAfter === undefined || (parseInstant(notAfter) ?? 0) > now),
  )

/** Whether a protection would refuse the visitors of pages, and is not in use. */
const isForServers = (policy: Policy, name: GuardName): boolean =>
  name === 'serverOnly' ||
  (name === 'ipWhitelist' && (policy[name]?.mode ?? 'off') === 'off' && !hasEntries(policy, name))

function hasEntries({ ipWhitelist, domainProtect, returnUrlGuard }: Policy, name: GuardName): boolean {
  switch (name) {
    case 'ipWhitelist':
      return (ipWhitelist?.ranges.length ?? 0) + (ipWhitelist?.lists.length ?? 0) > 0
    case 'domainProtect':
      return (domainProtect?.domains.length ?? 0) > 0
    case 'returnUrlGuard':
      return (returnUrlGuard?.urls.length ?? 0) > 0
    default:
      return true
  }
}

/** The highest possible score of an app. If only pages call it, the protections for servers are left out. */
export function highestScoreOf(policy: Policy, keys: readonly unknown[]): number {
  const isForPages = livesInBrowser(policy, keys)
  return GUARD_NAMES.filter((name) => !isForPages || !isForServers(policy, name))
    .map((name) => RULES[name].points)
    .reduce((sum, points) => sum + points, 0)
}

/** How good a policy is, and what could be better. */
export interface Assessment {
  readonly score: number
  /** What costs most first; a few of each kind. */
  readonly findings: readonly PolicyFinding[]
  /** How many findings of each protection are left out. */
  readonly moreFindings: Readonly<Partial<Record<GuardName, number>>>
}

const assessed = new WeakMap<Policy, Assessment>()

/**
 * Parses a document, and assesses the policy in the same reading: with very many entries, a reading takes longest.
 *
 * @throws PolicyError
 */
export function parseAssessed(document: unknown): Policy {
  const read = readPolicy(document)
  const policy = policyOf(read)
  assessed.set(policy, assessmentOf(scoreRead(read)))
  return policy
}

/** How good a policy is. None is assessed twice. */
export function assess(policy: Policy): Assessment {
  const assessment = assessed.get(policy) ?? assessmentOf(scorePolicy(policy))
  assessed.set(policy, assessment)
  return assessment
}

/** How many findings of one kind are kept. A list of very many entries may have one for each entry. */
const MOST_OF_A_KIND = 5

function assessmentOf({ score, fixes }: PolicyScore): Assessment {
  const counts = new Map<string, number>()
  const moreFindings: Partial<Record<GuardName, number>> = {}
  const findings = fixes.filter((found) => {
    const guard = guardOf(found)
    const kind = `${guard} ${found.code}`
    const before = counts.get(kind) ?? 0
    counts.set(kind, before + 1)
    if (before < MOST_OF_A_KIND) return true
    moreFindings[guard] = (moreFindings[guard] ?? 0) + 1
    return false
  })
  return { score, findings, moreFindings }
}

const guardOf = ({ path }: PolicyFinding): GuardName => path.split(/[.[]/, 1)[0] as GuardName

/** What each protection would gain in another mode, by policy. */
const gains = new WeakMap<Policy, Map<string, number>>()

function gainOf(policy: Policy, guard: GuardName, mode: Mode): number {
  const known = gains.get(policy) ?? new Map<string, number>()
  gains.set(policy, known)
  const { score, findings } = assess(policy)
  const gain = known.get(`${guard} ${mode}`) ?? scoreWith(policy, guard, mode, findings) - score
  known.set(`${guard} ${mode}`, gain)
  return gain
}

/** The protection that gains most next: one step stricter, and with a warning where it would refuse everybody at once. */
export function nextStepOf(policy: Policy, keys: readonly ListedKey[], now: number): NextStep | undefined {
  const isForPages = livesInBrowser(policy, keys)
  const steps = GUARD_NAMES.flatMap((guard): NextStep[] => {
    const before = policy[guard]?.mode
    if (before === 'enforce' || (isForPages && isForServers(policy, guard))) return []
    const missing =
      guard === 'serverOnly'
        ? !hasActiveKey(keys, now) && 'valid key'
        : !hasEntries(policy, guard) && 'entries'
    const mode: Mode = before === 'report' ? 'enforce' : 'report'
    const gain = gainOf(policy, guard, mode)
    if (before === 'report' && missing !== false) {
      const reason = `it has no ${missing} yet; once it has, ${RULES[guard].reason}`
      return [{ guard, mode, gain, reason }]
    }
    const reason =
      mode === 'enforce'
        ? RULES[guard].reason
        : `report first, to see what it would refuse; once it is enforced, ${RULES[guard].reason}`
    return [{ guard, mode, gain, reason }]
  })
  return steps.toSorted((a, b) => b.gain - a.gain)[0]
}

/** The score with one protection in another mode. Its section is linted again only if its findings may be others. */
function scoreWith(policy: Policy, guard: GuardName, mode: Mode, findings: readonly PolicyFinding[]): number {
  const { appId, [guard]: section } = policy
  if (section?.mode === 'report') return scoreOf({ ...policy, [guard]: { ...section, mode } }, findings)
  const alone = parsePolicy({ appId, [guard]: { ...section, mode } })
  const own = lintPolicy(alone).filter((one) => guardOf(one) === guard)
  const others = findings.filter((one) => guardOf(one) !== guard)
  return scoreOf({ ...policy, [guard]: alone[guard] }, [...others, ...own])
}

/** The scores of two policies of one app, each with its highest possible score. */
export function scoresOf(
  before: Policy,
  after: Policy,
  keys: readonly unknown[],
): Pick<Review, 'scoreBefore' | 'highestBefore' | 'scoreAfter' | 'highestAfter'> {
  return {
    scoreBefore: assess(before).score,
    highestBefore: highestScoreOf(before, keys),
    scoreAfter: assess(after).score,
    highestAfter: highestScoreOf(after, keys),
  }
}
