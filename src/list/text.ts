import type { PolicyIssue } from '../errors.ts'
import { readEntry, readMembers, type ListEntry } from './entry.ts'
import { Refusals } from './refusals.ts'

/** The start of a comment: `#` almost everywhere, `;` in the lists of Spamhaus. */
const MARK = /[#;]/

/** Reads the lines of a text, from `start`. */
export function readLines(text: string, start: number, refusals: Refusals): Generator<ListEntry> {
  return new LineReader(refusals).read(text, start)
}

/** Reads a text in parts. Each part must end at the end of a line. */
export class LineReader {
  readonly #refusals: Refusals
  #line = 0
  /** The number of comment lines since the last other line, and the text of the last one. */
  #comments = 0
  #above = ''

  constructor(refusals: Refusals = new Refusals()) {
    this.#refusals = refusals
  }

  *read(text: string, start = 0): Generator<ListEntry> {
    for (let index = start; index < text.length;) {
      const found = text.indexOf('\n', index)
      const end = found === -1 ? text.length : found
      const content = text.slice(index, end).trim()
      index = end + 1
      this.#line += 1
      const mark = content.search(MARK)
      if (mark === 0) {
        this.#comments += 1
        this.#above = content.slice(1).trim()
        continue
      }
      if (content !== '') {
        const range = mark === -1 ? content : content.slice(0, mark).trimEnd()
        const behind = mark === -1 ? '' : content.slice(mark + 1).trim()
        const comment = behind === '' && this.#comments === 1 ? this.#above : behind
        const entry = readCommented(range, comment)
        if (this.#refusals.isEntry(entry, this.#line)) yield entry
      }
      this.#comments = 0
    }
  }

  /** Throws if anything was refused. */
  end(): void {
    this.#refusals.end()
  }
}

function readCommented(range: string, comment: string): ListEntry | readonly PolicyIssue[] {
  if (comment === '') return readMembers(range)
  if (!comment.startsWith('{')) return readMembers(range, comment)
  let details: unknown
  try {
    details = JSON.parse(comment)
  } catch {
    return [{ path: '', message: 'has a comment that begins with `{` but is not JSON' }]
  }
  if (Object.hasOwn(details as object, 'range')) {
    return [{ path: '', message: 'has a second range in its comment' }]
  }
  return readEntry({ range, ...(details as object) })
}

/** The line of an entry. */
export function writeLine({ range, note, owner, expires }: ListEntry): string {
  if (owner === undefined && expires === undefined) {
    if (note === undefined) return `${range}\n`
    if (isPlain(note)) return `${range} # ${note}\n`
  }
  return `${range} # ${JSON.stringify({ note, owner, expires })}\n`
}

/** Whether a plain comment preserves a note. */
function isPlain(note: string): boolean {
  return !note.startsWith('{') && !note.includes('\n') && note === note.trim()
}
