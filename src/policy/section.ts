import type { PolicyFinding } from '../lint/finding.ts'
import type { EntryList } from '../match/entries.ts'
import type { SectionComparison } from './compare/side.ts'
import type { NamedLists } from './named-lists.ts'

/** `enforce` acts on a denial, `report` only records it, `off` does not ask. */
export type Mode = 'enforce' | 'report' | 'off'

/** What every section says. */
export interface Protection {
  readonly mode: Mode
}

/** A schema of zod. Its type is hidden, because the declarations of this package must name no other package. */
export type SectionSchema = object

/** The members of a section that are lists of entries, as they were parsed. */
export type ListsOf<Members extends string, Entry> = Readonly<Record<Members, EntryList<Entry>>>

/** What a section is made into what its guard reads with. */
export interface Compiling<Compiled, Lists> {
  readonly lists: Lists
  /** The named lists of the store. */
  readonly named: NamedLists
  /** What was made of the section before. A matcher whose entries are still the same is used again. */
  readonly before: Compiled | undefined
}

/**
 * The section of one guard: what a policy may say to it, and what the guard reads.
 *
 * @typeParam Written the section of a `Policy`, with its defaults
 * @typeParam Compiled what the guard reads
 * @typeParam Lists the lists of entries, as they were parsed
 */
export interface Section<
  Written extends Protection,
  Compiled extends Protection = Written,
  Lists extends object = object,
> {
  /** Made when the first policy is read: every start would wait for it. A strict object, so that unknown keys are refused. */
  schema(): SectionSchema
  /** Pure. Every member of the result is its own, so that no look-up asks a prototype. */
  compile(section: Written, compiling: Compiling<Compiled, Lists>): Compiled
  /** How many bytes the compiled section takes, if its length depends on the policy. */
  weigh?(section: Written, compiled: Compiled): number
}

/** What is said of a section beside judging by it: advice, its worth, and how it stands to another. */
export interface Rules<Written extends Protection, Lists extends object = object> {
  /** The points that `scorePolicy` gives: who may call and where data goes weigh double. */
  readonly points: number
  /** Whether a mode alone makes a section that admits anybody. */
  readonly modeIsEnough: boolean
  /** What it keeps away, as the reason to switch it on: the rest of a sentence. */
  readonly reason: string
  lint(section: Written, lists: Lists): PolicyFinding[]
  /** How `comparePolicies` compares it. */
  readonly compare: SectionComparison<Written, Lists>
}
