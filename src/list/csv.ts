import { show } from '../errors.ts'
import { isMember, MEMBERS, readMembers, type ListEntry } from './entry.ts'
import type { Refusals } from './refusals.ts'

/** A row, and where the next row begins. */
interface Row {
  readonly line: number
  /** At most one more than the number of columns. `undefined` if the line is empty or was refused. */
  readonly cells: readonly string[] | undefined
  readonly next: number
  readonly nextLine: number
}

/**
 * Reads CSV (RFC 4180) from `start`: with a header that names the columns in any order, or `range[,note]` without a header.
 * Skips empty lines. Missing values at the end of a row are empty.
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

/** Every address contains a dot or a colon, and no column name does. */
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
  // Without valid columns, no row can be read.
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

/** Longer than any value of an entry. A missing quote must not swallow half of the text. */
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
        // The start of the next row is unknown.
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

/** The index of the quote that closes the one at `open`. -1 if the value is too long. */
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

/** The row of an entry. The first row is {@link HEADER}. */
export function writeRow({ range, note = '', owner = '', expires = '' }: ListEntry): string {
  return `${range},${quote(guard(note))},${quote(guard(owner))},${expires}\r\n`
}

function quote(value: string): string {
  return /["\r\n,]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

/**
 * If a spreadsheet would read a value as a formula, an apostrophe is written before it and removed when the value is read. A
 * value that already starts with apostrophes gets one more, so that every value is restored.
 */
const FORMULA = /^[\s']*[=+\-@＝＋－＠]/

function guard(value: string): string {
  return FORMULA.test(value) ? `'${value}` : value
}

function unguard(value: string | undefined): string | undefined {
  return value?.startsWith("'") && FORMULA.test(value) ? value.slice(1) : value
}
