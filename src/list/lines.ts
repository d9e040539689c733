import { UnreadableError } from '../errors.ts'
import type { ListEntry } from './entry.ts'
import { PIECE } from './pieces.ts'

/**
 * An entry as stores keep it, on one line: the range, then a tab and a JSON array of expiry, owner and note if there are any.
 * Lines are not checked when they are read: creating a set of them refuses invalid ranges.
 */
export function formatLine({ range, note, owner, expires }: ListEntry): string {
  if (note === undefined && owner === undefined && expires === undefined) return `${range}\n`
  return `${range}\t${JSON.stringify([expires ?? null, owner ?? null, note ?? null])}\n`
}

/**
 * Reads the entries of some lines, a few hundred at a time.
 *
 * @throws UnreadableError if a line is not in the form of {@link formatLine}
 */
export function* readLines(text: string): Generator<readonly ListEntry[]> {
  let piece: ListEntry[] = []
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start)
    if (end === -1) throw damaged()
    piece.push(readLine(text.slice(start, end)))
    start = end + 1
    if (piece.length < PIECE) continue
    yield piece
    piece = []
  }
  if (piece.length > 0) yield piece
}

function readLine(line: string): ListEntry {
  const tab = line.indexOf('\t')
  if (tab === -1) return { range: line }
  const more = parseArray(line.slice(tab + 1))
  const [expires, owner, note] = more.map((value) => value ?? undefined)
  return { range: line.slice(0, tab), note, owner, expires }
}

function parseArray(text: string): readonly (string | null)[] {
  let values: unknown
  try {
    values = JSON.parse(text)
  } catch {
    throw damaged()
  }
  if (!Array.isArray(values) || !values.every((value) => value === null || typeof value === 'string'))
    throw damaged()
  return values as (string | null)[]
}

export function damaged(): UnreadableError {
  return new UnreadableError('a stored list is damaged')
}
