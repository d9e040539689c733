import { promisify } from 'node:util'
import { deflateRaw, inflateRawSync } from 'node:zlib'
import { UnavailableError } from '../errors.ts'
import type { ListEntry } from '../list/entry.ts'
import { damaged, formatLine, readLines } from '../list/lines.ts'
import { checkedEntries } from '../list/pieces.ts'
import type { SendCommand } from './client.ts'
import { fields, REVISION, type Documents } from './documents.ts'
import type { Keyspace } from './keyspace.ts'

const compress = promisify(deflateRaw)

/**
 * About how many characters one chunk has: some thousand entries, or a few dozen with long notes. Inflating it takes a fraction
 * of a millisecond, less than passing it to another thread.
 */
export const CHUNK = 32_768
/** More bytes than a chunk and its last entry can have. */
const LARGEST_CHUNK = 4 * CHUNK
/** How many chunks are requested in advance. They are inflated when it is their turn. */
const AHEAD = 4
/** How long an upload that is never activated stays, in seconds. */
const UPLOAD_LIFETIME = 3_600
/**
 * How long a chunk of an earlier upload must still live to be used again, in seconds, because the upload of the rest takes time.
 */
const LEAST_LIFETIME = 300
/** The fields of the hash of a list. */
export interface ListHead {
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

/** A list in Redis: its hash, and its entries in chunks. */
export interface ListChunks {
  /** `undefined` if there is no such list. */
  head(name: string): Promise<ListHead | undefined>
  entriesOf(name: string, head: ListHead): AsyncGenerator<readonly ListEntry[]>
  /**
   * Returns the number of chunks and entries. `resumable`: the version identifies this content, so chunks that an earlier upload
   * left are not sent again.
   */
  upload(
    name: string,
    version: string,
    entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
    resumable: boolean,
  ): Promise<{ readonly chunks: number; readonly size: number }>
}

export function createListChunks(send: SendCommand, keyspace: Keyspace, documents: Documents): ListChunks {
  async function head(name: string): Promise<ListHead | undefined> {
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

  async function* entriesOf(
    name: string,
    { version, chunks, size }: ListHead,
  ): AsyncGenerator<readonly ListEntry[]> {
    const ahead: Promise<unknown>[] = []
    let count = 0
    for (let index = 0; index < chunks; index += 1) {
      while (ahead.length < AHEAD && index + ahead.length < chunks) {
        const reply = send('GET', keyspace.chunk(name, version, index + ahead.length))
        // If the reader stops early, nobody awaits this reply.
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
    // An address missing from one of the `denyLists` would be admitted, so a partial list is refused.
    if (count !== size) throw damaged()
  }

  async function upload(
    name: string,
    version: string,
    entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
    resumable: boolean,
  ): Promise<{ readonly chunks: number; readonly size: number }> {
    let [chunks, size, chunk] = [0, 0, '']
    let last: Promise<unknown> = Promise.resolve()
    const put = async (text: string, index: number): Promise<void> => {
      const key = keyspace.chunk(name, version, index)
      if (resumable && (await isLasting(send, key))) return
      const bytes = documents.sealBytes(name, await compress(text))
      // With NX, an existing chunk gets no expiry: another writer may have activated it meanwhile.
      await send('SET', key, bytes, 'EX', UPLOAD_LIFETIME, ...(resumable ? ['NX'] : []))
    }
    /** Sends one chunk while the next one is prepared. */
    const flush = async (): Promise<void> => {
      await last
      last = put(chunk, chunks)
      // If the entries end with an error, nobody awaits this write.
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

  return { head, entriesOf, upload }
}

/** Whether a chunk exists and will stay until the upload is done. -1 means that it does not expire. */
async function isLasting(send: SendCommand, key: string): Promise<boolean> {
  const left = Number(await send('TTL', key))
  return left === -1 || left >= LEAST_LIFETIME
}
