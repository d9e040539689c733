import type { ListEntry } from '../list/entry.ts'
import type { ChangeNote } from './change-note.ts'

/** A named list of addresses as stored. */
export interface StoredList {
  /** 1 for the first write, then one more for each write. */
  readonly revision: number
  /** Differs for two contents with the same revision, which is possible because people edit lists by hand. */
  readonly version?: string | undefined
  /** The number of entries. */
  readonly size: number
  /**
   * The entries, a few hundred or thousand at a time. Rejects with `UnavailableError` if the store could not be read or the list
   * was replaced meanwhile, and with `UnreadableError` if the stored data cannot be used.
   */
  chunks(): AsyncIterable<readonly ListEntry[]>
}

/** A named list without its entries. */
export interface ListSummary extends ChangeNote {
  readonly name: string
  readonly revision: number
  readonly size: number
  /** When it was written, ISO 8601, by the clock of the writer. */
  readonly at: string
}

/** The part of a store that holds named lists of addresses, which the policies of many apps share. */
export interface ListStore {
  /** The list, or `undefined` if there is no list with that name. Rejects only if the store could not be read. */
  readList(name: string): Promise<StoredList | undefined>
  /**
   * Replaces the whole list and returns its new revision. Readers get either the old list or the new one. `replaces` is the
   * current revision, or 0 for a new list.
   *
   * Nothing is written if it rejects with `PolicyError` (the name, an entry or the note is refused), `ConfigError` (`entries` is
   * not iterable: parse a string first), `RevisionConflict` (someone else wrote first) or with what `entries` throws. After
   * `UnavailableError` the list may have been written nevertheless.
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
  /** All lists, sorted by name. */
  lists(): Promise<readonly ListSummary[]>
}
