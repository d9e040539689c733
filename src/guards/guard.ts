import { deny, protectionOff, type Decision, type GuardName } from '../decision.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import { GUARD_NAMES } from '../policy/sections.ts'

/**
 * The answer of a guard to one request. The decision is plain data for operators: it is added to the trail and the audit. The
 * outcome is what the mount needs to act. It is never recorded, and may contain what operators must not see.
 */
export interface Judgement<Outcome = undefined> {
  readonly decision: Decision
  readonly outcome?: Outcome | undefined
}

/** A guard: a pure function from a policy and facts to a judgement. */
export type Guard<Facts, Outcome = undefined> = (policy: CompiledPolicy, facts: Facts) => Judgement<Outcome>

/**
 * Creates a guard from a function that is called only if the policy has the section. A missing section denies, and `off`
 * allows.
 */
export function guardOf<Name extends GuardName, Facts, Outcome = undefined>(
  name: Name,
  decide: (section: NonNullable<CompiledPolicy[Name]>, facts: Facts) => Judgement<Outcome>,
): Guard<Facts, Outcome> {
  return (policy, facts) => {
    const section = policy[name]
    if (section === undefined || section.mode === 'off') return unasked(policy, name) as Judgement<Outcome>
    return decide(section, facts)
  }
}

/**
 * The judgement of a guard that need not look at the request, because its section is missing or off. Otherwise `undefined`.
 */
export function unasked(policy: CompiledPolicy, name: GuardName): Judgement | undefined {
  const section = policy[name]
  if (section === undefined) return NOT_CONFIGURED[name]
  return section.mode === 'off' ? OFF[name] : undefined
}

/** One judgement for each guard, shared by all requests. */
function perGuard(decide: (name: GuardName) => Decision): Readonly<Record<GuardName, Judgement>> {
  const judgement = (name: GuardName): Judgement =>
    Object.freeze({ decision: Object.freeze(decide(name)), outcome: undefined })
  return Object.fromEntries(GUARD_NAMES.map((name) => [name, judgement(name)])) as Record<
    GuardName,
    Judgement
  >
}

const OFF = perGuard(protectionOff)

const NOT_CONFIGURED = perGuard((name) =>
  deny(name, 'enforce', 'PROTECTION_NOT_CONFIGURED', `the policy has no section \`${name}\``),
)
