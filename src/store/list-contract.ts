import type { ListEntry } from '../list/entry.ts'
import type { ChangeNote } from './change-note.ts'

/** A named list of addresses as a store holds it. */
export interface StoredList {
  /** 1 for the first that was written, then one more for each write. */
  readonly revision: number
  /** Tells one content from another where both may have one revision, because people edit the list by hand. */
  readonly version?: string | undefined
  /** How many entries it has. */
  readonly size: number
  /**
   * The entries, some hundreds or thousands at a time. Rejects with `UnavailableError` when it could not look, also when the list was
   * replaced meanwhile, and with `UnreadableError` when what it found cannot be used.
   */
  chunks(): AsyncIterable<readonly ListEntry[]>
}

/** A list by its name. */
export interface ListSummary extends ChangeNote {
  readonly name: string
  readonly revision: number
  readonly size: number
  /** When it was written, ISO 8601, by the clock of the writer. */
  readonly at: string
}

/** What stores have that hold named lists of addresses, which the policies of many apps share. */
export interface ListStore {
  /** The list, or `undefined` when there is no list of that name. Rejects only when it could not look. */
  readList(name: string): Promise<StoredList | undefined>
  /**
   * Writes the list as a whole and answers with its new revision; readers have the old one or the new one. `replaces` is the
   * revision that it takes the place of, 0 for a new list. Rejects with `PolicyError` (the name, an entry or the note is
   * refused), with `ConfigError` (`entries` are not iterable: parse a string first), with what `entries` throws, with
   * `RevisionConflict` (somebody else wrote) - nothing was written - or with `UnavailableError` (it may have been written all
   * the same).
   */
  writeList(
    name: string,
    entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
    replaces: number,
    note?: ChangeNote,
    upload?: string,
  ): Promise<number>
  /** Removes the list at revision `replaces`. Rejects as `writeList` does. */
  removeList(name: string, replaces: number): Promise<void>
  /** The lists there are, by name. */
  lists(): Promise<readonly ListSummary[]>
}
