import type { CompiledPolicy } from '../policy/compile.ts'
import type { ReadPolicy } from '../policy/parse.ts'
import type { ReadSections } from '../policy/sections.ts'

/** With more entries than this the lists are not kept: they would take the memory that compiling has saved. */
const MOST_ENTRIES = 1_000

const kept = new WeakMap<CompiledPolicy, ReadSections>()

/** Keeps the lists beside what was compiled of them, outside production alone: a developer is told the nearest entry. */
export function keepLists(policy: CompiledPolicy, { lists }: ReadPolicy): void {
  if (process.env['NODE_ENV'] === 'production') return
  const { ipWhitelist, domainProtect, returnUrlGuard } = lists
  const read = [ipWhitelist?.ranges, ipWhitelist?.deny, domainProtect?.domains, returnUrlGuard?.urls]
  if (read.reduce((sum, list) => sum + (list?.placed.length ?? 0), 0) > MOST_ENTRIES) return
  kept.set(policy, lists)
}

/** The lists of each section of a policy; `undefined` where they were not kept. */
export function keptLists(policy: CompiledPolicy): ReadSections | undefined {
  return kept.get(policy)
}
