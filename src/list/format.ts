import { meant } from '../did-you-mean.ts'
import { ConfigError, wrongOption } from '../errors.ts'
import { HEADER, readRows, writeRow } from './csv.ts'
import { isAsyncIterable, isIterable, parseListEntry, type ListEntry } from './entry.ts'
import { readItems, writeItem } from './json.ts'
import { Refusals } from './refusals.ts'
import { readLines, writeLine } from './text.ts'

/**
 * How a list is written.
 *
 * - `text`: one range a line. What follows `#` or `;` is its note, or, when it begins with `{`, a JSON object with any of
 *   `note`, `owner` and `expires`: `192.0.2.0/24 # {"owner":"ada","expires":"2030-01-31T12:00:00Z"}`. A single comment line
 *   directly above a range that has no comment is read as if it stood behind it; all others (heads of files, separators)
 *   belong to no range and are not kept.
 * - `csv`: RFC 4180. The first row may name the columns `range`, `note`, `owner` and `expires`, in any order; otherwise they
 *   are `range` and `note`. A note or owner that a spreadsheet would take for a formula is written with an apostrophe
 *   before it, and read without.
 * - `json`: an array of ranges and of objects as {@link ListEntry}.
 *
 * Lines end with LF or CRLF; one byte order mark at the start is passed over.
 */
export type ListFormat = 'text' | 'csv' | 'json'

const READERS = { text: readLines, csv: readRows, json: readItems } as const

/**
 * Yields the entries of a text, checked and frozen, in their order; a range that is there twice comes twice. The text is read
 * as far as it is asked for, except JSON, which is parsed at the first call of `next`. Entries that are refused are left out
 * and told at the end: what was yielded is of use only when the generator has ended without a throw.
 *
 * @throws PolicyError at the end of the text, or when there are a hundred reasons, with all of them. Each names its line
 * (`line 17`, in JSON the index, `[16].note`) and the corrected form where there is one.
 * @throws ConfigError at once when `text` is not a string, or `format` is not one of the three.
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
 * Yields pieces of a text. Joined they are what {@link parseList} reads the same entries from. Takes entries, or what the
 * `chunks()` of a stored list gives.
 *
 * @throws PolicyError when one of the entries is refused, with its index.
 * @throws ConfigError at once when `entries` cannot be iterated, or `format` is not one of the three.
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
