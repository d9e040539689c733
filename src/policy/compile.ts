import type { NamedLists } from './named-lists.ts'
import { readPolicy, type ReadPolicy } from './parse.ts'
import type { Policy } from './policy.ts'
import { GUARD_NAMES, sectionOf, type CompiledSections } from './sections.ts'

/** A policy in the form that guards read. Its lists are sets whose look-up time does not depend on their length. */
export interface CompiledPolicy extends CompiledSections {
  readonly appId: string
}

/**
 * Builds the matchers of a policy. Pure. The work grows with the length of the lists and is done once: a matcher of `before`
 * is reused if its entries are unchanged. Takes the result of `readPolicy`; the entries of a plain `Policy` are parsed again.
 *
 * Every member of the result is an own property, even if it is `undefined`, so that no look-up reaches a prototype.
 */
export function compilePolicy(
  given: ReadPolicy | Policy,
  named: NamedLists = new Map(),
  before?: CompiledPolicy,
): CompiledPolicy {
  const { policy, lists } = Object.hasOwn(given, 'policy') ? (given as ReadPolicy) : readPolicy(given)
  const sections = GUARD_NAMES.map((name) => {
    const section = policy[name]
    const compiling = { lists: lists[name] ?? {}, named, before: before?.[name] }
    return [name, section && sectionOf(name).compile(section, compiling)] as const
  })
  return { appId: policy.appId, ...(Object.fromEntries(sections) as CompiledSections) }
}

/** Estimates the memory of a compiled policy, in bytes. `npm run bench:store` compares the estimate with measurements. */
export function weighPolicy(policy: Policy, compiled: CompiledPolicy): number {
  return GUARD_NAMES.reduce((weight, name) => {
    const [section, made] = [policy[name], compiled[name]]
    if (section === undefined || made === undefined) return weight
    return weight + (sectionOf(name).weigh?.(section, made) ?? 0)
  }, 1_024)
}
