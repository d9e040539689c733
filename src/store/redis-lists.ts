import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import { RevisionConflict, UnavailableError, UnreadableError } from '../errors.ts'
import { isListName, parseListEntry, type ListEntry } from '../policy/index.ts'
import type { ListStore, StoredList } from './lists.ts'
import { checkListName } from './memory-lists.ts'
import { parseNote } from './records.ts'
import { fields, REVISION, type Documents } from './redis-documents.ts'
import { texts, type SendCommand } from './redis-client.ts'
import type { Feed } from './redis-feed.ts'
import { SWAP_LIST } from './redis-scripts.ts'

const compress = promisify(deflateRaw)
const decompress = promisify(inflateRaw)

/** So many entries are one value in Redis, and are read and understood in one go: a millisecond or two. */
const CHUNK = 2_000
/** How many chunks are asked for ahead. */
const AHEAD = 4
/** What was uploaded and never taken into use is gone after this, in seconds. */
const UPLOAD_LIFETIME = 3_600
/** Who is reading a list that was replaced can read it to its end for so long, in seconds. */
const GRACE = 60

interface Setting {
  readonly send: SendCommand
  readonly prefix: string
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
export function createRedisLists({ send, prefix, documents, feed, atOnce, afterwards }: Setting): ListStore {
  const namesKey = `${prefix}lists`
  const listKey = (name: string): string => `${prefix}list:{${name}}`
  const chunkKey = (name: string, version: string, index: number): string =>
    `${listKey(name)}:${version}:${index}`

  async function head(name: string): Promise<Head | undefined> {
    const reply = await send('HMGET', listKey(name), 'revision', 'version', 'chunks', 'size', 'at', 'by')
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

  async function* chunksOf(name: string, { version, chunks }: Head): AsyncGenerator<readonly ListEntry[]> {
    const load = async (index: number): Promise<readonly ListEntry[]> => {
      const value = await send('GET', chunkKey(name, version, index))
      if (value === null) throw new UnavailableError('a list was replaced while it was read')
      return parseChunk(documents.openBytes(name, value))
    }
    const ahead: Promise<readonly ListEntry[]>[] = []
    for (let index = 0; index < chunks; index += 1) {
      while (ahead.length < AHEAD && index + ahead.length < chunks) {
        const promise = load(index + ahead.length)
        // Whoever stops reading does not wait for it.
        promise.catch(() => undefined)
        ahead.push(promise)
      }
      yield await (ahead.shift() as Promise<readonly ListEntry[]>)
    }
  }

  /** Answers with how many chunks and entries there are. */
  async function upload(
    name: string,
    version: string,
    entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
  ): Promise<{ readonly chunks: number; readonly size: number }> {
    let [chunks, size] = [0, 0]
    let chunk: string[][] = []
    const flush = async (): Promise<void> => {
      const bytes = documents.sealBytes(name, await compress(JSON.stringify(chunk)))
      await send('SET', chunkKey(name, version, chunks), bytes, 'EX', UPLOAD_LIFETIME)
      chunks += 1
      size += chunk.length
      chunk = []
    }
    for await (const entry of entries) {
      const { range, note = '', owner = '', expires = '' } = parseListEntry(entry)
      const row = [range, expires, owner, note]
      while (row.at(-1) === '') row.pop()
      chunk.push(row)
      if (chunk.length === CHUNK) await flush()
    }
    if (chunk.length > 0) await flush()
    return { chunks, size }
  }

  async function swap(name: string, replaces: number, values: readonly (string | number)[]): Promise<number> {
    const at = [listKey(name), ...(atOnce ? feed.keys : [])]
    const reply = texts(await send('EVAL', SWAP_LIST, at.length, ...at, replaces, name, GRACE, ...values))
    const revision = Number(reply[1])
    if (reply[0] === 'lost') throw new UnavailableError('the list was not uploaded in time')
    if (reply[0] !== 'written') throw new RevisionConflict(name, replaces, revision)
    feed.changedHere('list', name, revision)
    if (!atOnce) await afterwards(feed.announce(send, 'list', name, revision))
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
      if (actual !== replaces) throw new RevisionConflict(name, replaces, actual)
      await send('ZADD', namesKey, 0, name)
      const version = randomUUID()
      const { chunks, size } = await upload(name, version, entries)
      return swap(name, replaces, [version, chunks, size, new Date().toISOString(), by])
    },
    async removeList(name, replaces) {
      if (!isListName(name)) throw new RevisionConflict(String(name), replaces, 0)
      if (replaces === 0 && (await head(name)) === undefined) return
      await swap(name, replaces, ['', 0, 0, '', ''])
    },
    async lists() {
      const names = texts(await send('ZRANGEBYLEX', namesKey, '-', '+')).filter(isListName)
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

async function parseChunk(bytes: Uint8Array): Promise<readonly ListEntry[]> {
  try {
    const rows = JSON.parse((await decompress(bytes)).toString()) as [string, string?, string?, string?][]
    return rows.map(([range, expires, owner, note]) => ({
      range,
      expires: expires === '' ? undefined : expires,
      owner: owner === '' ? undefined : owner,
      note,
    }))
  } catch {
    throw damaged()
  }
}

function damaged(): UnreadableError {
  return new UnreadableError('a stored list is damaged')
}
