import type { GuardName, Mode } from '../decision.ts'
import { parseInstant } from '../instant.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { Policy } from '../policy/policy.ts'
import { scorePolicy } from '../policy/score.ts'
import { GUARD_NAMES } from '../policy/sections.ts'
import type { ListedKey } from '../store/contract.ts'
import type { NextStep, Step } from './contract.ts'

/** The first steps of an app, as far as they are done. Computed: nobody ticks them off. */
export function stepsOf(policy: Policy, keys: readonly ListedKey[], now: number): Step[] {
  const active = keys.filter(({ notAfter }) => notAfter === undefined || (parseInstant(notAfter) ?? 0) > now)
  const enforced = GUARD_NAMES.filter((name) => policy[name]?.mode === 'enforce').length
  const first = GUARD_NAMES.find((name) => policy[name]?.mode !== 'enforce')
  return [
    { title: 'Make a key for the servers of the app', done: active.length > 0, where: 'keys' },
    {
      title: 'Send the first signed request',
      done: keys.some(({ lastUsed }) => lastUsed !== undefined),
      where: 'keys',
    },
    {
      title: 'Say from which addresses it calls',
      done: hasEntries(policy, 'ipWhitelist'),
      where: 'ipWhitelist',
    },
    {
      title: 'Say which origins its pages have',
      done: hasEntries(policy, 'domainProtect'),
      where: 'domainProtect',
    },
    {
      title: 'Say where users may be sent back to',
      done: hasEntries(policy, 'returnUrlGuard'),
      where: 'returnUrlGuard',
    },
    {
      title: `Enforce every protection (${enforced} of ${GUARD_NAMES.length} do)`,
      done: enforced === GUARD_NAMES.length,
      where: first ?? 'serverOnly',
    },
  ]
}

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

/** What each protection keeps away, as the reason to switch it on. */
const REASONS: Readonly<Record<GuardName, string>> = {
  serverOnly: 'only requests signed by the servers of the app pass, so that an app id alone is worth nothing',
  ipWhitelist: 'a stolen key works from the listed networks alone',
  domainProtect: 'pages of strangers cannot call in the name of the app',
  returnUrlGuard: 'nobody can have users sent to a page of their own after the sign-in',
  regionPin: 'data of a person stays in the jurisdiction of that person',
  auditAccess: 'every request and every read of personal data is recorded',
}

/** The protection that gains most next: one step stricter, and only where it would not refuse everybody at once. */
export function nextStep(policy: Policy): NextStep | undefined {
  const { score } = scorePolicy(policy)
  const steps = GUARD_NAMES.flatMap((guard): NextStep[] => {
    const before = policy[guard]?.mode
    if (before === 'enforce') return []
    const mode: Mode = before === 'report' && hasEntries(policy, guard) ? 'enforce' : 'report'
    if (before === mode) {
      const reason = `it has no entries yet: add them, and ${REASONS[guard]}`
      return [{ guard, mode: 'enforce', gain: gainOf(policy, guard, 'enforce', score), reason }]
    }
    const gain = gainOf(policy, guard, mode, score)
    const reason =
      mode === 'enforce' ? REASONS[guard] : `see for some days what it would refuse; then ${REASONS[guard]}`
    return [{ guard, mode, gain, reason }]
  })
  return steps.toSorted((a, b) => b.gain - a.gain)[0]
}

function gainOf(policy: Policy, guard: GuardName, mode: Mode, before: number): number {
  return scorePolicy(parsePolicy({ ...policy, [guard]: { ...policy[guard], mode } })).score - before
}
