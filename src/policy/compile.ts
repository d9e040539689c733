import type { NamedLists } from './named-lists.ts'
import { readPolicy, type ReadPolicy } from './parse.ts'
import type { Policy } from './policy.ts'
import { GUARD_NAMES, sectionOf, type CompiledSections } from './sections.ts'

/** A policy in the form that guards read: lists are sets whose cost does not grow with their length. */
export interface CompiledPolicy extends CompiledSections {
  readonly appId: string
}

/**
 * Builds the matchers of a policy. Pure; the work grows with the length of the lists and is done once: a matcher of `before`
 * whose entries are still the same is used again. Takes what `readPolicy` gives; the entries of a mere `Policy` are read anew.
 *
 * Every member of the result is its own, also where it is `undefined`, so that no look-up ever asks a prototype.
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

/**
 * About how many bytes of memory a policy takes in compiled form; `npm run bench:store` holds it against what is measured.
 */
export function weighPolicy(policy: Policy, compiled: CompiledPolicy): number {
  return GUARD_NAMES.reduce((weight, name) => {
    const [section, made] = [policy[name], compiled[name]]
    if (section === undefined || made === undefined) return weight
    return weight + (sectionOf(name).weigh?.(section, made) ?? 0)
  }, 1_024)
}
