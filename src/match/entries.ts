import { isProblem, type Problem } from './problem.ts'

/** A parsed entry of a list in a policy. */
export interface PlacedEntry<Entry> {
  /** Its index in the list. */
  readonly index: number
  /** Its canonical form, as the policy stores it. */
  readonly written: unknown
  readonly entry: Entry
}

/** An entry with the same meaning as an earlier entry of its list. It is dropped. */
export interface Duplicate {
  /** Its index in the list. */
  readonly index: number
  /** The index of the entry that is kept. */
  readonly first: number
}

/** A list in a policy, with its parsed entries. */
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

/** A parsed entry, its canonical form, and a text that all entries of the same meaning share. */
export interface ReadEntry<Entry> {
  readonly entry: Entry
  readonly written: unknown
  readonly meaning: string
}

/** Reads the entries of a list. Calls `refuse` for each invalid entry. Of entries with the same meaning, keeps the first. */
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
