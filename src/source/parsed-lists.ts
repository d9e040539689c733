import type { CompiledPolicy } from '../policy/compile.ts'
import type { ReadPolicy } from '../policy/parse.ts'

/** The lists of a policy with the entries as they were parsed. */
export type ParsedLists = Pick<ReadPolicy, 'ranges' | 'domains' | 'urls'>

/** With more entries than this the lists are not kept: they would take the memory that compiling has saved. */
const MOST_ENTRIES = 1_000

const kept = new WeakMap<CompiledPolicy, ParsedLists>()

/** Keeps the lists beside what was compiled of them, outside production alone: a developer is told the nearest entry. */
export function keepLists(policy: CompiledPolicy, { ranges, domains, urls }: ParsedLists): void {
  if (process.env['NODE_ENV'] === 'production') return
  if (ranges.placed.length + domains.placed.length + urls.placed.length > MOST_ENTRIES) return
  kept.set(policy, { ranges, domains, urls })
}

/** The lists of a policy; `undefined` where they were not kept. */
export function listsOf(policy: CompiledPolicy): ParsedLists | undefined {
  return kept.get(policy)
}
