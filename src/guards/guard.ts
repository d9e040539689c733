import { deny, protectionOff, type Decision, type GuardName, type Mode } from '../decision.ts'
import type { CompiledPolicy } from '../policy/compile.ts'

/** A guard: a pure function from a policy and facts to a decision. */
export type Guard<Facts, Answer extends Decision = Decision> = (
  policy: CompiledPolicy,
  facts: Facts,
) => Answer | Decision

/**
 * Makes a guard of a question that is asked only when the policy has the protection: a missing section denies, and
 * `off` allows without asking.
 */
export function guardOf<Name extends GuardName, Facts, Answer extends Decision>(
  name: Name,
  decide: (section: NonNullable<CompiledPolicy[Name]>, facts: Facts) => Answer | Decision,
): Guard<Facts, Answer> {
  return (policy, facts) => {
    const section = policy[name]
    if (section === undefined) return notConfigured(name)
    if (section.mode === 'off') return protectionOff(name)
    return decide(section, facts)
  }
}

function notConfigured(name: GuardName): Decision {
  const mode: Mode = 'enforce'
  return deny(
    name,
    mode,
    'PROTECTION_NOT_CONFIGURED',
    `the policy has no section \`${name}\`; to admit everybody write it with mode \`off\``,
  )
}
