import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import type { ListEntry } from '../../list/entry.ts'
import { parseList, type ListFormat } from '../../list/format.ts'
import { formatLine } from '../../list/lines.ts'
import { LineReader } from '../../list/text.ts'
import { createSlices } from '../../slices.ts'
import { InterruptedError, type Invocation } from '../command.ts'
import { readInput, readSource, unreadableFile } from '../input.ts'

/** The entries of a file. They can be read more than once. */
export interface ListSource {
  /** Yields one part at a time. Each must be read before the next. */
  parts(): AsyncIterable<Iterable<ListEntry>>
}

/** Describes the entries of a source without keeping them. */
export interface Content {
  readonly size: number
  /** Differs for other entries. */
  readonly digest: string
}

/** A list as text is read part by part; the other formats are read as a whole. */
export async function sourceAt(
  invocation: Invocation,
  path: string,
  format: ListFormat,
): Promise<ListSource> {
  if (format === 'text' && path !== '-')
    return { parts: () => linesOf(resolve(invocation.directory, path), path) }
  const text = path === '-' ? await readInput(invocation) : await readSource(invocation, path)
  return { parts: () => whole(parseList(text, format)) }
}

async function* linesOf(file: string, path: string): AsyncGenerator<Iterable<ListEntry>> {
  const reader = new LineReader()
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let isFirst = true
  try {
    for await (const bytes of createReadStream(file, { highWaterMark: 262_144 })) {
      let text = rest + decoder.write(bytes as Buffer)
      if (isFirst) text = text.replace(/^\uFEFF/, '')
      isFirst = false
      const end = text.lastIndexOf('\n') + 1
      rest = text.slice(end)
      yield reader.read(text.slice(0, end))
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    throw unreadableFile(path, error)
  }
  yield reader.read(rest + decoder.end())
  reader.end()
}

async function* whole(entries: Iterable<ListEntry>): AsyncGenerator<Iterable<ListEntry>> {
  yield entries
}

/**
 * Reads all entries once, so that every error is known before the first entry is written.
 *
 * @throws PolicyError, InterruptedError
 */
export async function contentOf(source: ListSource, signal: AbortSignal): Promise<Content> {
  const hash = createHash('sha256')
  const slices = createSlices()
  let [size, text] = [0, '']
  for await (const part of source.parts()) {
    for (const entry of part) {
      text += formatLine(entry)
      size += 1
      if (text.length < 65_536) continue
      hash.update(text)
      text = ''
      if (slices.over) await slices.next()
      if (signal.aborted) throw new InterruptedError('interrupted: nothing was written')
    }
  }
  return { size, digest: hash.update(text).digest('base64url') }
}
