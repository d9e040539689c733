import { isProblem, type Problem } from './problem.ts'

/** An entry of a list of a policy, as its parser read it. */
export interface PlacedEntry<Entry> {
  /** Its place in the document. */
  readonly index: number
  /** What the policy holds of it: the canonical form. */
  readonly written: unknown
  readonly entry: Entry
}

/** An entry that means the same as an earlier one of its list. It is not kept. */
export interface Duplicate {
  /** Its place in the document. */
  readonly index: number
  /** The place of the entry that is kept. */
  readonly first: number
}

/** A list of a policy with what was parsed of it, so that nothing is parsed twice. */
export class EntryList<Entry> {
  readonly placed: readonly PlacedEntry<Entry>[]
  readonly duplicates: readonly Duplicate[]

  constructor(placed: readonly PlacedEntry<Entry>[] = [], duplicates: readonly Duplicate[] = []) {
    this.placed = placed
    this.duplicates = duplicates
  }

  get entries(): Entry[] {
    return this.placed.map(({ entry }) => entry)
  }
}

/** What is read of one entry: what is kept of it, and the text that entries of one meaning share. */
export interface ReadEntry<Entry> {
  readonly entry: Entry
  readonly written: unknown
  readonly meaning: string
}

/** Reads the entries of a list. Those that are refused are told; of those that mean the same the first stays. */
export function readEntries<Written, Entry>(
  values: readonly Written[],
  read: (value: Written) => Problem | ReadEntry<Entry>,
  refuse: (index: number, problem: Problem) => void,
): EntryList<Entry> {
  const placed: PlacedEntry<Entry>[] = []
  const duplicates: Duplicate[] = []
  const seen = new Map<string, number>()
  for (const [index, value] of values.entries()) {
    const result = read(value)
    if (isProblem(result)) {
      refuse(index, result)
      continue
    }
    const { entry, written, meaning } = result
    const first = seen.get(meaning)
    if (first !== undefined) duplicates.push({ index, first })
    else {
      seen.set(meaning, index)
      placed.push({ index, written, entry })
    }
  }
  return new EntryList(placed, duplicates)
}
