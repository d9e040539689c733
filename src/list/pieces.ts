import { ConfigError, PolicyError } from '../errors.ts'
import { isAsyncIterable, isIterable, parseListEntry, type ListEntry } from './entry.ts'
import { isListName } from '../names.ts'
import { createSlices } from '../slices.ts'

/** The number of entries in a piece, which takes a fraction of a millisecond to read and parse. */
export const PIECE = 256

/**
 * Yields checked copies of the entries to write, a few hundred at a time. Between pieces it yields to the event loop, because
 * a long list in memory must not block the process.
 *
 * @throws PolicyError with the invalid entry, ConfigError if `entries` is not iterable, and any error of `entries` itself
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
  // Two loops, because awaiting each entry takes as long as checking it.
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
