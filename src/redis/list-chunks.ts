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
 * About so many characters are one value in Redis: some thousand entries, or some dozen with long notes. They are inflated
 * in a fraction of a millisecond, which is less than it takes to hand them to another thread.
 */
export const CHUNK = 32_768
/** More bytes than a chunk and its last entry can take. */
const LARGEST_CHUNK = 4 * CHUNK
/** How many chunks are asked for ahead. They are inflated and read when it is their turn. */
const AHEAD = 4
/** What was uploaded and never taken into use is gone after this, in seconds. */
const UPLOAD_LIFETIME = 3_600
/** A chunk of an earlier upload must stay for so long to be used again, in seconds: the rest takes its time too. */
const LEAST_LIFETIME = 300
/** What the hash of a list says. */
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

/** How a list lies in Redis: what its hash says, and its entries in chunks. */
export interface ListChunks {
  /** `undefined` when there is no such list. */
  head(name: string): Promise<ListHead | undefined>
  entriesOf(name: string, head: ListHead): AsyncGenerator<readonly ListEntry[]>
  /**
   * Answers with how many chunks and entries there are. `resumable`: the version stands for just these entries, and chunks that an earlier
   * upload has left are not sent again.
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
      // What is there already must not be given an end: another writer may have taken it into use meanwhile.
      await send('SET', key, bytes, 'EX', UPLOAD_LIFETIME, ...(resumable ? ['NX'] : []))
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

  return { head, entriesOf, upload }
}

/** Whether a chunk is there, and stays until the upload is done. -1 stands for one without an end. */
async function isLasting(send: SendCommand, key: string): Promise<boolean> {
  const left = Number(await send('TTL', key))
  return left === -1 || left >= LEAST_LIFETIME
}
