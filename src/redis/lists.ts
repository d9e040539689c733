import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { deflateRaw, inflateRawSync } from 'node:zlib'
import { RevisionConflict, UnavailableError } from '../errors.ts'
import { parseNote } from '../store/change-note.ts'
import { isListName } from '../names.ts'
import type { ListEntry } from '../list/entry.ts'
import { checkedEntries, checkListName } from '../list/pieces.ts'
import { damaged, formatLine, readLines } from '../list/lines.ts'
import type { ListStore, StoredList } from '../store/list-contract.ts'
import { fields, REVISION, type Documents } from './documents.ts'
import { texts, type SendCommand } from './client.ts'
import type { Feed } from './feed.ts'
import type { Keyspace } from './keyspace.ts'
import { SWAP_LIST } from './scripts.ts'

const compress = promisify(deflateRaw)

/**
 * About so many characters are one value in Redis: some thousand entries, or some dozen with long notes. They are inflated
 * in a fraction of a millisecond, which is less than it takes to hand them to another thread.
 */
const CHUNK = 32_768
/** More bytes than a chunk and its last entry can take. */
const LARGEST_CHUNK = 4 * CHUNK
/** How many chunks are asked for ahead. They are inflated and read when it is their turn. */
const AHEAD = 4
/** What was uploaded and never taken into use is gone after this, in seconds. */
const UPLOAD_LIFETIME = 3_600
/** Who is reading a list that was replaced can read it to its end for so long, in seconds. */
const GRACE = 60

interface Setting {
  readonly send: SendCommand
  readonly keyspace: Keyspace
  readonly documents: Documents
  readonly feed: Feed
  /** Whether a write and its announcement are one step. */
  readonly atOnce: boolean
  afterwards(work: Promise<void>): Promise<void>
}

/**
 * Named lists in Redis: a hash for each, and its entries compressed in chunks that no other version of the list shares. A
 * list is uploaded first and then taken into use in one step.
 */
export function createRedisLists({
  send,
  keyspace,
  documents,
  feed,
  atOnce,
  afterwards,
}: Setting): ListStore {
  async function head(name: string): Promise<Head | undefined> {
    const reply = await send(
      'HMGET',
      keyspace.list(name),
      'revision',
      'version',
      'chunks',
      'size',
      'at',
      'by',
    )
    const [revision, version, chunks, size, at, by] = fields(reply)
    if (version === null) return undefined
    if (typeof version !== 'string' || !REVISION.test(String(revision))) throw damaged()
    return {
      revision: Number(revision),
      version,
      chunks: Number(chunks),
      size: Number(size),
      at: String(at),
      by: String(by),
    }
  }

  async function* chunksOf(
    name: string,
    { version, chunks, size }: Head,
  ): AsyncGenerator<readonly ListEntry[]> {
    const ahead: Promise<unknown>[] = []
    let count = 0
    for (let index = 0; index < chunks; index += 1) {
      while (ahead.length < AHEAD && index + ahead.length < chunks) {
        const reply = send('GET', keyspace.chunk(name, version, index + ahead.length))
        // Whoever stops reading does not wait for it.
        reply.catch(() => undefined)
        ahead.push(reply)
      }
      const value = await ahead.shift()
      if (value === null) throw new UnavailableError('a list was replaced while it was read')
      for (const piece of readLines(inflate(documents.openBytes(name, value)))) {
        count += piece.length
        yield piece
      }
    }
    // What is missing would be refused by nobody, if it is a list of `denyLists`.
    if (count !== size) throw damaged()
  }

  /** Answers with how many chunks and entries there are. */
  async function upload(
    name: string,
    version: string,
    entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
  ): Promise<{ readonly chunks: number; readonly size: number }> {
    let [chunks, size, chunk] = [0, 0, '']
    let last: Promise<unknown> = Promise.resolve()
    const put = async (text: string, index: number): Promise<void> => {
      const bytes = documents.sealBytes(name, await compress(text))
      await send('SET', keyspace.chunk(name, version, index), bytes, 'EX', UPLOAD_LIFETIME)
    }
    /** One chunk is on its way while the next one is made. */
    const flush = async (): Promise<void> => {
      await last
      last = put(chunk, chunks)
      // Whoever has no more entries need not wait for it.
      last.catch(() => undefined)
      chunks += 1
      chunk = ''
    }
    for await (const piece of checkedEntries(entries)) {
      for (const entry of piece) {
        chunk += formatLine(entry)
        if (chunk.length >= CHUNK) await flush()
      }
      size += piece.length
    }
    if (chunk !== '') await flush()
    await last
    return { chunks, size }
  }

  async function swap(name: string, replaces: number, values: readonly (string | number)[]): Promise<number> {
    const at = [keyspace.list(name), ...(atOnce ? feed.keys : [])]
    const reply = texts(
      await send('EVAL', SWAP_LIST, at.length, ...at, replaces, name, GRACE, ...values, randomUUID()),
    )
    const revision = Number(reply[1])
    if (reply[0] === 'lost') throw new UnavailableError('the list was not uploaded in time')
    if (reply[0] !== 'written') throw new RevisionConflict(name, replaces, revision, 'list')
    feed.changedHere({ kind: 'list', name, revision })
    if (!atOnce) await afterwards(feed.announce(send, { kind: 'list', name, revision }))
    return revision
  }

  return {
    async readList(name): Promise<StoredList | undefined> {
      if (!isListName(name)) return undefined
      const found = await head(name)
      if (found === undefined) return undefined
      return { revision: found.revision, size: found.size, chunks: () => chunksOf(name, found) }
    },
    async writeList(name, entries, replaces, note) {
      checkListName(name)
      const by = documents.sealNote(name, parseNote(note))
      const actual = (await head(name))?.revision ?? 0
      // Before a million entries are uploaded in vain.
      if (actual !== replaces) throw new RevisionConflict(name, replaces, actual, 'list')
      await send('ZADD', keyspace.lists, 0, name)
      const version = randomUUID()
      const { chunks, size } = await upload(name, version, entries)
      return swap(name, replaces, [version, chunks, size, new Date().toISOString(), by])
    },
    async removeList(name, replaces) {
      if (!isListName(name)) throw new RevisionConflict(String(name), replaces, 0, 'list')
      if (replaces === 0 && (await head(name)) === undefined) return
      await swap(name, replaces, ['', 0, 0, '', ''])
    },
    async lists() {
      const names = texts(await send('ZRANGEBYLEX', keyspace.lists, '-', '+')).filter(isListName)
      const heads = await Promise.all(names.map(head))
      return names.flatMap((name, index) => {
        const found = heads[index]
        if (found === undefined) return []
        const { revision, size, at, by } = found
        return [{ name, revision, size, at, ...documents.openNote(name, by) }]
      })
    },
  }
}

/** What the hash of a list says. */
interface Head {
  readonly revision: number
  readonly version: string
  readonly chunks: number
  readonly size: number
  readonly at: string
  readonly by: string
}

function inflate(bytes: Uint8Array): string {
  try {
    return inflateRawSync(bytes, { maxOutputLength: LARGEST_CHUNK }).toString()
  } catch {
    throw damaged()
  }
}
