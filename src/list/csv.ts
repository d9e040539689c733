import { show } from '../errors.ts'
import { isMember, MEMBERS, readMembers, type ListEntry } from './entry.ts'
import type { Refusals } from './refusals.ts'

/** A row, and where the one after it begins. */
interface Row {
  readonly line: number
  /** One more than there are columns at most. `undefined`: the line is empty, or was refused. */
  readonly cells: readonly string[] | undefined
  readonly next: number
  readonly nextLine: number
}

/**
 * Reads RFC 4180, beginning at `start`: with a header that names the columns in any order, or else `range[,note]`. Empty
 * lines are passed over; values that a row leaves out at its end are empty.
 */
export function* readRows(text: string, start: number, refusals: Refusals): Generator<ListEntry> {
  let columns: readonly string[] | undefined
  let row: Row = { line: 1, cells: undefined, next: start, nextLine: 1 }
  while (row.next < text.length) {
    row = readRow(text, row.next, row.nextLine, refusals)
    const { line, cells } = row
    if (cells === undefined) continue
    if (columns === undefined) {
      columns = isHeader(cells) ? readHeader(cells, line, refusals) : ['range', 'note']
      if (columns === cells) continue
    }
    if (cells.length > columns.length) {
      const names = columns.join(', ')
      refusals.addLine(
        line,
        `has more values than columns (${names}): put quotes around a value that contains a comma`,
      )
      continue
    }
    const cell = (name: string): string | undefined => cells[columns?.indexOf(name) ?? 0] || undefined
    const entry = readMembers(cell('range'), unguard(cell('note')), unguard(cell('owner')), cell('expires'))
    if (refusals.isEntry(entry, line)) yield entry
  }
}

/** Every address contains a dot or a colon, and no name of a column does. */
function isHeader(cells: readonly string[]): boolean {
  return !/[.:]/.test(cells[0] ?? '')
}

function readHeader(cells: readonly string[], line: number, refusals: Refusals): readonly string[] {
  for (const [index, name] of cells.entries()) {
    const known = isMember(name)
    if (known && cells.indexOf(name) === index) continue
    const meant = name.trim().toLowerCase()
    refusals.addLine(
      line,
      known
        ? `has the column ${show(name)} twice`
        : `has the column ${show(name)}, which is not one of ${MEMBERS.join(', ')}`,
      !known && isMember(meant) ? meant : undefined,
    )
  }
  if (!cells.includes('range'))
    refusals.addLine(line, 'is neither an entry nor a header with a column `range`')
  // Without known columns no row can be read.
  refusals.end()
  return cells
}

function readRow(text: string, start: number, line: number, refusals: Refusals): Row {
  const end = lineEnd(text, start)
  const content = withoutReturn(text.slice(start, end))
  if (content.includes('"')) return readQuotedRow(text, start, line, refusals)
  const cells = content === '' ? undefined : content.split(',', MEMBERS.length + 1)
  return { line, cells, next: end + 1, nextLine: line + 1 }
}

/** Longer than any value of an entry: a missing quote must not hide half of the text. */
const LONGEST_QUOTED = 4_096

function readQuotedRow(text: string, start: number, line: number, refusals: Refusals): Row {
  const cells: string[] = []
  let nextLine = line
  let index = start
  const refuse = (problem: string): Row => {
    refusals.addLine(nextLine, problem)
    return { line, cells: undefined, next: lineEnd(text, index) + 1, nextLine: nextLine + 1 }
  }
  for (;;) {
    let cell: string
    if (text[index] === '"') {
      const close = closingQuote(text, index)
      if (close === -1) {
        refuse(`has a quoted value of more than ${LONGEST_QUOTED} characters: is its closing quote missing?`)
        // Where the next row begins is not known.
        refusals.end()
      }
      const quoted = text.slice(index + 1, close)
      nextLine += quoted.split('\n').length - 1
      index = close + 1
      cell = quoted.replaceAll('""', '"')
    } else {
      const end = valueEnd(text, index)
      cell = text.slice(index, end)
      index = end
      if (text[end] !== ',') cell = withoutReturn(cell)
      if (cell.includes('"')) return refuse('has a quote within a value that does not begin with one')
    }
    if (cells.length <= MEMBERS.length) cells.push(cell)
    if (text[index] === ',') {
      index += 1
      continue
    }
    const end = lineEnd(text, index)
    if (withoutReturn(text.slice(index, end)) !== '') return refuse('has text after a closing quote')
    return { line, cells, next: end + 1, nextLine: nextLine + 1 }
  }
}

/** Where the quote stands that closes the one at `open`; -1: not within the longest value. */
function closingQuote(text: string, open: number): number {
  let close = text.indexOf('"', open + 1)
  while (close !== -1 && text[close + 1] === '"' && close - open <= LONGEST_QUOTED) {
    close = text.indexOf('"', close + 2)
  }
  return close - open > LONGEST_QUOTED ? -1 : close
}

function valueEnd(text: string, start: number): number {
  let index = start
  while (index < text.length && text[index] !== ',' && text[index] !== '\n') index += 1
  return index
}

function lineEnd(text: string, start: number): number {
  const end = text.indexOf('\n', start)
  return end === -1 ? text.length : end
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}

export const HEADER: string = `${MEMBERS.join(',')}\r\n`

/** The row of an entry, below {@link HEADER}. */
export function writeRow({ range, note = '', owner = '', expires = '' }: ListEntry): string {
  return `${range},${quote(guard(note))},${quote(guard(owner))},${expires}\r\n`
}

function quote(value: string): string {
  return /["\r\n,]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

/**
 * What a spreadsheet would take for a formula gets an apostrophe before it, and loses it again when it is read. What already
 * has apostrophes there gets one more, so that every value comes back.
 */
const FORMULA = /^[\s']*[=+\-@＝＋－＠]/

function guard(value: string): string {
  return FORMULA.test(value) ? `'${value}` : value
}

function unguard(value: string | undefined): string | undefined {
  return value?.startsWith("'") && FORMULA.test(value) ? value.slice(1) : value
}
