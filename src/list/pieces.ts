import { ConfigError, PolicyError } from '../errors.ts'
import { isAsyncIterable, isIterable, parseListEntry, type ListEntry } from './entry.ts'
import { isListName } from '../names.ts'
import { createSlices } from '../slices.ts'

/** How many entries are handed on at once: so many are read and understood in a fraction of a millisecond. */
export const PIECE = 256

/**
 * Checked copies of the entries that are to be written, some hundred at a time. Between them other work gets its turn: a long
 * list in memory must not hold up the process.
 *
 * @throws PolicyError that names the entry, ConfigError when there are no entries, and what `entries` throws
 */
export async function* checkedEntries(
  entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
): AsyncGenerator<readonly ListEntry[]> {
  const slices = createSlices()
  let count = 0
  let piece: ListEntry[] = []
  const isFull = (entry: ListEntry): boolean => {
    piece.push(parseListEntry(entry, count))
    count += 1
    return piece.length === PIECE
  }
  // Apart, because waiting for each entry takes as long as checking it.
  if (isIterable(entries)) {
    for (const entry of entries) {
      if (!isFull(entry)) continue
      yield piece
      piece = []
      if (slices.over) await slices.next()
    }
  } else {
    if (!isAsyncIterable(entries))
      throw new ConfigError('entries', 'an iterable of entries, as parseList() returns', entries)
    for await (const entry of entries) {
      if (!isFull(entry)) continue
      yield piece
      piece = []
      if (slices.over) await slices.next()
    }
  }
  if (piece.length > 0) yield piece
}

/** @throws PolicyError */
export function checkListName(name: unknown): asserts name is string {
  if (!isListName(name))
    throw new PolicyError(
      [{ path: 'name', message: 'must be 1-128 characters of A-Z a-z 0-9 . _ : -' }],
      'list',
    )
}
