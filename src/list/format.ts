import { meant } from '../did-you-mean.ts'
import { ConfigError, wrongOption } from '../errors.ts'
import { HEADER, readRows, writeRow } from './csv.ts'
import { isAsyncIterable, isIterable, parseListEntry, type ListEntry } from './entry.ts'
import { readItems, writeItem } from './json.ts'
import { Refusals } from './refusals.ts'
import { readLines, writeLine } from './text.ts'

/**
 * The format of a list.
 *
 * - `text`: one range per line. Text after `#` or `;` is its note, or, if it begins with `{`, a JSON object with any of
 *   `note`, `owner` and `expires`: `192.0.2.0/24 # {"owner":"ada","expires":"2030-01-31T12:00:00Z"}`. A single comment line
 *   directly above a range without a comment is read as the comment of that range. All other comment lines (file headers,
 *   separators) are dropped.
 * - `csv`: RFC 4180. The first row may name the columns `range`, `note`, `owner` and `expires`, in any order; otherwise they
 *   are `range` and `note`. If a spreadsheet would read a note or owner as a formula, an apostrophe is written before it, and
 *   removed when it is read.
 * - `json`: an array of ranges and of objects like {@link ListEntry}.
 *
 * Lines end with LF or CRLF. A byte order mark at the start is skipped.
 */
export type ListFormat = 'text' | 'csv' | 'json'

const READERS = { text: readLines, csv: readRows, json: readItems } as const

/**
 * Yields the entries of a text in their order, checked and frozen. A repeated range is yielded each time. The text is read as
 * far as the caller iterates, except JSON, which is parsed at the first call of `next`. Invalid entries are left out and
 * reported at the end, so use the result only if the generator ends without an error.
 *
 * @throws PolicyError at the end of the text, or after a hundred reasons, with all of them. Each has its line (`line 17`; in
 * JSON the index, `[16].note`) and the corrected form if there is one.
 * @throws ConfigError immediately, if `text` is not a string or `format` is not one of the three.
 */
export function parseList(text: string, format: ListFormat): Generator<ListEntry, void, undefined> {
  if (typeof text !== 'string') throw new ConfigError('text', 'the text of a list', text)
  checkFormat(format)
  return read(text, format)
}

function* read(text: string, format: ListFormat): Generator<ListEntry, void, undefined> {
  const refusals = new Refusals()
  const start = text.startsWith('\uFEFF') ? 1 : 0
  yield* READERS[format](text, start, refusals)
  refusals.end()
}

/**
 * Yields a text in pieces. {@link parseList} reads the same entries from the joined pieces. Takes entries, or the `chunks()`
 * of a stored list.
 *
 * @throws PolicyError with the index of the first invalid entry.
 * @throws ConfigError immediately, if `entries` is not iterable or `format` is not one of the three.
 */
export function formatList(
  entries: Iterable<ListEntry>,
  format: ListFormat,
): Generator<string, void, undefined>
export function formatList(
  chunks: AsyncIterable<readonly ListEntry[]>,
  format: ListFormat,
): AsyncGenerator<string, void, undefined>
export function formatList(
  entries: Iterable<ListEntry> | AsyncIterable<readonly ListEntry[]>,
  format: ListFormat,
): Generator<string, void, undefined> | AsyncGenerator<string, void, undefined> {
  checkFormat(format)
  const writer = new Writer(format)
  if (isIterable(entries)) return write(entries, writer)
  if (isAsyncIterable(entries)) return writeChunks(entries, writer)
  throw new ConfigError('entries', 'an iterable of entries, or the chunks() of a stored list', entries)
}

function* write(entries: Iterable<ListEntry>, writer: Writer): Generator<string, void, undefined> {
  yield writer.begin()
  for (const entry of entries) yield writer.write(entry)
  yield writer.end()
}

async function* writeChunks(
  chunks: AsyncIterable<readonly ListEntry[]>,
  writer: Writer,
): AsyncGenerator<string, void, undefined> {
  yield writer.begin()
  for await (const chunk of chunks) yield chunk.map((entry) => writer.write(entry)).join('')
  yield writer.end()
}

class Writer {
  readonly #format: ListFormat
  #count = 0

  constructor(format: ListFormat) {
    this.#format = format
  }

  begin(): string {
    return this.#format === 'csv' ? HEADER : this.#format === 'json' ? '[' : ''
  }

  write(given: ListEntry): string {
    const entry = parseListEntry(given, this.#count)
    this.#count += 1
    if (this.#format === 'text') return writeLine(entry)
    if (this.#format === 'csv') return writeRow(entry)
    return `${this.#count === 1 ? '' : ','}\n${writeItem(entry)}`
  }

  end(): string {
    if (this.#format !== 'json') return ''
    return this.#count === 0 ? ']\n' : '\n]\n'
  }
}

function checkFormat(format: ListFormat): void {
  if (Object.hasOwn(READERS, format)) return
  throw new ConfigError([
    wrongOption('format', '`text`, `csv` or `json`', format, meant(format, Object.keys(READERS))),
  ])
}
