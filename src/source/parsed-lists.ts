import type { CompiledPolicy } from '../policy/compile.ts'
import type { ReadPolicy } from '../policy/parse.ts'
import type { ReadSections } from '../policy/sections.ts'

/** Longer lists are not kept, because they would take the memory that compiling saves. */
const MOST_ENTRIES = 1_000

const kept = new WeakMap<CompiledPolicy, ReadSections>()

/** Keeps the parsed lists of a compiled policy, outside production only, so that an explanation can name the nearest entry. */
export function keepLists(policy: CompiledPolicy, { lists }: ReadPolicy): void {
  if (process.env['NODE_ENV'] === 'production') return
  const { ipWhitelist, domainProtect, returnUrlGuard } = lists
  const read = [ipWhitelist?.ranges, ipWhitelist?.deny, domainProtect?.domains, returnUrlGuard?.urls]
  if (read.reduce((sum, list) => sum + (list?.placed.length ?? 0), 0) > MOST_ENTRIES) return
  kept.set(policy, lists)
}

/** The lists of each section of a policy; `undefined` if they were not kept. */
export function keptLists(policy: CompiledPolicy): ReadSections | undefined {
  return kept.get(policy)
}
