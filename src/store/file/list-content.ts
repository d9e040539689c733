import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod/mini'
import { isPortcullisError, PolicyError, UnavailableError, UnreadableError } from '../../errors.ts'
import { LineReader } from '../../list/text.ts'
import type { ListEntry } from '../../list/entry.ts'
import { revisionSchema, type SealedNote } from './content.ts'
import { PIECE } from '../../list/pieces.ts'

/** What the store writes into the first line of a list, which is a comment. */
export interface ListHead extends SealedNote {
  readonly revision: number
  /** Size and time of the content when the store wrote it. An edit by hand leaves them unchanged. */
  readonly entries?: number | undefined
  readonly bytes?: number | undefined
  readonly at?: string | undefined
  /** A removed list keeps its revision, so that no revision is used twice. */
  readonly removed?: true | undefined
}

/** A list file that was found. */
export interface FoundList {
  readonly head: ListHead
  /** Changes when the file is replaced or modified. */
  readonly signature: string
  /** Whether a later change is certain to have another signature. */
  readonly isSettled: boolean
  /** When the file was last modified, ISO 8601. */
  readonly changedAt: string
  /** Where the first line ends, in bytes, if the store wrote it; otherwise 0. */
  readonly start: number
  /** Whether the rest is as long as the store wrote it, so no write is in progress. */
  readonly isWhole: boolean
}

const MARK = '#portcullis '
const makeHeadSchema = () =>
  z.strictObject({
    revision: revisionSchema(),
    entries: z.optional(z.int().check(z.gte(0))),
    bytes: z.optional(z.int().check(z.gte(0))),
    at: z.optional(z.string()),
    author: z.optional(z.string()),
    note: z.optional(z.string()),
    by: z.optional(z.string()),
    removed: z.optional(z.literal(true)),
  })
/** Created when the first list is read, because an app without a file store never needs it. */
let headSchema: ReturnType<typeof makeHeadSchema> | undefined

export function formatHead(head: ListHead): string {
  // The empty line separates it from the first range. Otherwise it would be the note of that range.
  return `${MARK}${JSON.stringify(head)}\n\n`
}

/** More than our first line can have, in bytes. */
const LONGEST_HEAD = 65_536
/** How many bytes are parsed at once. They take a millisecond. */
const BLOCK = 32_768
/**
 * Two changes within this time may leave the file with the same modification time, in milliseconds. Some file systems count in
 * seconds.
 */
const GRAIN = 2_000
/** An editor that writes a file in place empties it first. So a file must have been unchanged for this long, in milliseconds. */
const QUIET = 100
/** How long to wait for that, in milliseconds. */
const LONGEST_WAIT = 2_000
// Without O_NONBLOCK, a named pipe in place of the file would block the read forever. Windows lacks the flag.
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * Reads the head of a list file; `undefined` if there is no such file. Waits until an edited file has been unchanged for a
 * moment. Rejects with `UnreadableError` if it is not a list, and with `UnavailableError` if it could not be read.
 */
export async function findList(path: string): Promise<FoundList | undefined> {
  try {
    for (const until = Date.now() + LONGEST_WAIT; ;) {
      const { found, changedAt } = await withFile(path, look)
      const quietAt = changedAt + QUIET
      // A time in the future: the clock was set back.
      if (found.isWhole || quietAt <= Date.now() || changedAt > Date.now()) return found
      if (Date.now() > until) throw new UnavailableError('another program is writing it')
      await sleep(quietAt - Date.now())
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw refused(path, error)
  }
}

async function look(file: FileHandle): Promise<{ found: FoundList; changedAt: number }> {
  const now = Date.now()
  const stats = await file.stat({ bigint: true })
  if (!stats.isFile()) throw new UnreadableError('it is not a file')
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  const { head, start } = await readHead(file)
  const changedAt = Number(mtimeNs / 1_000_000n)
  const found: FoundList = {
    head,
    signature: [dev, ino, size, mtimeNs, ctimeNs].join(),
    isSettled: now - Number(ctimeNs / 1_000_000n) > GRAIN,
    changedAt: new Date(changedAt).toISOString(),
    start,
    isWhole: head.bytes === Number(size) - start - 2,
  }
  return { found, changedAt }
}

async function readHead(file: FileHandle): Promise<{ readonly head: ListHead; readonly start: number }> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST_HEAD), 0, LONGEST_HEAD, 0)
  const bytes = buffer.subarray(0, bytesRead)
  const newline = bytes.indexOf('\n')
  const end = newline === -1 ? bytes.length : newline
  // An editor may have put a byte order mark before it.
  const line = bytes.toString('utf8', 0, end).replace(/^\uFEFF/, '')
  return line.startsWith(MARK) ? { head: parseHead(line), start: end } : { head: { revision: 1 }, start: 0 }
}

function parseHead(line: string): ListHead {
  let value: unknown
  try {
    value = JSON.parse(line.slice(MARK.length))
  } catch {
    throw new UnreadableError('its first line, which the store has written, is damaged')
  }
  headSchema ??= makeHeadSchema()
  const result = headSchema.safeParse(value)
  if (result.success) return result.data
  throw new UnreadableError('its first line, which the store has written, has an unknown format')
}

/**
 * The entries of the file, a few hundred at a time. Rejects with `UnreadableError` if a line is not an entry; the error gives the
 * line numbers without the content. Rejects with `UnavailableError` if the file changes during the read.
 */
export async function* readEntries(path: string, found: FoundList): AsyncGenerator<readonly ListEntry[]> {
  try {
    const file = await open(path, READ_ONLY)
    try {
      if ((await look(file)).found.signature !== found.signature) throw replaced()
      const before = await file.stat({ bigint: true })
      yield* readLines(file, found.start)
      const after = await file.stat({ bigint: true })
      if (after.mtimeNs !== before.mtimeNs || after.size !== before.size) throw replaced()
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw replaced()
    throw refused(path, error)
  }
}

const [NEWLINE, HASH, SEMICOLON] = [0x0a, 0x23, 0x3b]
/** Blanks in UTF-8, and the bytes of the byte order mark. No line of a list starts with a space of another script. */
const BLANKS: ReadonlySet<number> = new Set([0x09, 0x0b, 0x0c, 0x0d, 0x20, 0xef, 0xbb, 0xbf])

/** How many lines have an entry. Takes a tenth of the time of reading them. Rejects as `readEntries` does. */
export async function countEntries(path: string, found: FoundList): Promise<number> {
  let count = 0
  let isBlank = true
  const countIn = (bytes: Uint8Array): void => {
    for (const byte of bytes) {
      if (byte === NEWLINE) isBlank = true
      else if (isBlank && !BLANKS.has(byte)) {
        isBlank = false
        if (byte !== HASH && byte !== SEMICOLON) count += 1
      }
    }
  }
  try {
    await withFile(path, async (file) => {
      const block = Buffer.allocUnsafe(BLOCK)
      for (let position = found.start; ;) {
        const { bytesRead } = await file.read(block, 0, BLOCK, position)
        if (bytesRead === 0) return
        countIn(block.subarray(0, bytesRead))
        position += bytesRead
      }
    })
  } catch (error) {
    throw refused(path, error)
  }
  return count
}

/** Reads from the end of our own line, whose line end then counts as an empty line. */
async function* readLines(file: FileHandle, start: number): AsyncGenerator<readonly ListEntry[]> {
  const reader = new LineReader()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const block = Buffer.allocUnsafe(BLOCK)
  let rest = ''
  for (let [position, isEnd] = [start, false]; !isEnd;) {
    const { bytesRead } = await file.read(block, 0, BLOCK, position)
    position += bytesRead
    isEnd = bytesRead === 0
    rest += decode(decoder, block.subarray(0, bytesRead), !isEnd)
    const end = isEnd ? rest.length : rest.lastIndexOf('\n') + 1
    yield* inPieces(reader.read(rest.slice(0, end)))
    rest = rest.slice(end)
    if (rest.length > LONGEST_HEAD) throw new UnreadableError('a line is too long to be an entry')
  }
  reader.end()
}

function decode(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream })
  } catch {
    throw new UnreadableError('it is not UTF-8')
  }
}

function* inPieces(entries: Iterable<ListEntry>): Generator<readonly ListEntry[]> {
  let piece: ListEntry[] = []
  for (const entry of entries) {
    piece.push(entry)
    if (piece.length < PIECE) continue
    yield piece
    piece = []
  }
  if (piece.length > 0) yield piece
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, READ_ONLY)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

function replaced(): UnavailableError {
  return new UnavailableError('a list was replaced while it was read')
}

/** Leaves out the message of a foreign error, because it may quote the content. */
function refused(path: string, error: unknown): UnavailableError {
  const at = `the list file \`${path}\` cannot be read: `
  if (error instanceof PolicyError) {
    const lines = [...new Set(error.issues.map((issue) => issue.path))]
    const more = lines.length > 5 ? ` and ${lines.length - 5} more` : ''
    return new UnreadableError(`${at}not an entry: ${lines.slice(0, 5).join(', ')}${more}`)
  }
  if (error instanceof UnreadableError) return new UnreadableError(at + error.message)
  const { code, name } = error as NodeJS.ErrnoException
  // A directory exists but is not a list, so this is not a failure to read.
  if (code === 'EISDIR') return new UnreadableError(`${at}it is not a file`)
  return new UnavailableError(at + (isPortcullisError(error) ? error.message : (code ?? name)))
}
