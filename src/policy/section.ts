import type { PolicyFinding } from '../lint/finding.ts'
import type { EntryList } from '../match/entries.ts'
import type { SectionComparison } from './compare/side.ts'
import type { NamedLists } from './named-lists.ts'

/** `enforce` carries out a denial, `report` only records it, `off` skips the guard. */
export type Mode = 'enforce' | 'report' | 'off'

/** The member that every section has. */
export interface Protection {
  readonly mode: Mode
}

/** A zod schema. Its type is hidden, because the declarations of this package must not name other packages. */
export type SectionSchema = object

/** The members of a section that are lists of entries, with the parsed entries. */
export type ListsOf<Members extends string, Entry> = Readonly<Record<Members, EntryList<Entry>>>

/** What a section is compiled from, besides the section itself. */
export interface Compiling<Compiled, Lists> {
  readonly lists: Lists
  /** The named lists of the store. */
  readonly named: NamedLists
  /** The previous result. A matcher is reused if its entries are unchanged. */
  readonly before: Compiled | undefined
}

/**
 * The section of one guard: the members that a policy may have, and the form that the guard reads.
 *
 * @typeParam Written the section of a `Policy`, with its defaults
 * @typeParam Compiled the form that the guard reads
 * @typeParam Lists the parsed lists of entries
 */
export interface Section<
  Written extends Protection,
  Compiled extends Protection = Written,
  Lists extends object = object,
> {
  /**
   * Builds a strict object, so that unknown keys are refused. Called when the first policy is read, to keep it out of the
   * start-up time.
   */
  schema(): SectionSchema
  /** Pure. Every member of the result is an own property, so that no look-up reaches a prototype. */
  compile(section: Written, compiling: Compiling<Compiled, Lists>): Compiled
  /** The memory of the compiled section in bytes, if its size depends on the policy. */
  weigh?(section: Written, compiled: Compiled): number
}

/** Everything about a section except judging: advice, points and comparison. */
export interface Rules<Written extends Protection, Lists extends object = object> {
  /** The points that `scorePolicy` gives. */
  readonly points: number
  /** Whether a section with only a mode can admit anyone. */
  readonly modeIsEnough: boolean
  /** Why to switch it on, as a clause: what it keeps away. */
  readonly reason: string
  /** The advice on a section. It is the same in `report` and `enforce`. */
  lint(section: Written, lists: Lists): PolicyFinding[]
  /** How `comparePolicies` compares it. */
  readonly compare: SectionComparison<Written, Lists>
}
