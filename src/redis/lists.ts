import { createHash, randomUUID } from 'node:crypto'
import { RevisionConflict, UnavailableError } from '../errors.ts'
import { parseNote } from '../store/change-note.ts'
import { isListName } from '../names.ts'
import { checkListName } from '../list/pieces.ts'
import type { ListStore, StoredList } from '../store/list-contract.ts'
import type { Documents } from './documents.ts'
import { texts, type SendCommand } from './client.ts'
import type { Feed } from './feed.ts'
import type { Keyspace } from './keyspace.ts'
import { CHUNK, createListChunks } from './list-chunks.ts'
import { SWAP_LIST } from './scripts.ts'

/** How long the old version of a replaced list can still be read, in seconds. */
const GRACE = 60

const UPLOAD = /^[\w-]{16,64}$/

/**
 * The version of a list, from its content and the revision that it replaces. A repeated write finds the chunks of the first
 * attempt. A write in place of another revision shares no chunk with it, so a list in use never loses chunks.
 */
function versionOf(upload: string, replaces: number, isSealed: boolean): string {
  return createHash('sha256').update(`${CHUNK} ${isSealed} ${replaces} ${upload}`).digest('base64url')
}

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
 * Named lists in Redis: a hash for each, and its entries compressed in chunks, which no two versions share. A list is uploaded
 * first, and then activated in one step.
 */
export function createRedisLists({
  send,
  keyspace,
  documents,
  feed,
  atOnce,
  afterwards,
}: Setting): ListStore {
  const parts = createListChunks(send, keyspace, documents)
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
      const found = await parts.head(name)
      if (found === undefined) return undefined
      return { revision: found.revision, size: found.size, chunks: () => parts.entriesOf(name, found) }
    },
    async writeList(name, entries, replaces, note, upload) {
      checkListName(name)
      const by = documents.sealNote(name, parseNote(note))
      const actual = (await parts.head(name))?.revision ?? 0
      // Checked first, so that a million entries are not uploaded in vain.
      if (actual !== replaces) throw new RevisionConflict(name, replaces, actual, 'list')
      await send('ZADD', keyspace.lists, 0, name)
      const resumable = upload !== undefined && UPLOAD.test(upload)
      const isSealed = documents.sealBytes(name, new Uint8Array()).includes(':')
      const version = resumable ? versionOf(upload, replaces, isSealed) : randomUUID()
      const { chunks, size } = await parts.upload(name, version, entries, resumable)
      return swap(name, replaces, [version, chunks, size, new Date().toISOString(), by])
    },
    async removeList(name, replaces) {
      if (!isListName(name)) throw new RevisionConflict(String(name), replaces, 0, 'list')
      if (replaces === 0 && (await parts.head(name)) === undefined) return
      await swap(name, replaces, ['', 0, 0, '', ''])
    },
    async lists() {
      const names = texts(await send('ZRANGEBYLEX', keyspace.lists, '-', '+')).filter(isListName)
      const heads = await Promise.all(names.map((name) => parts.head(name)))
      return names.flatMap((name, index) => {
        const found = heads[index]
        if (found === undefined) return []
        const { revision, size, at, by } = found
        return [{ name, revision, size, at, ...documents.openNote(name, by) }]
      })
    },
  }
}
