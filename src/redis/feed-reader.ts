import { UnavailableError } from '../errors.ts'
import { isAppId, isListName } from '../names.ts'
import type { SendCommand } from './client.ts'
import { REVISION } from './documents.ts'
import type { Keyspace } from './keyspace.ts'
import { readEntries, streamEntries, type StreamEntry } from './replies.ts'

/** The last announced entry: its id, and its number from the counter of the feed. */
export interface Position {
  readonly id: string
  readonly number: number
}

/** What one entry of the feed announces. */
export interface Announcement {
  readonly kind: 'app' | 'list'
  readonly name: string
  readonly revision: number | undefined
}

/** Announced entries cannot be read, so data read before may be out of date. */
export class FeedGap extends UnavailableError {}

/** Reads the feed through one connection. Every method rejects as `ask` does. */
export interface FeedReader {
  /** The name that the first write gave the store; `undefined` if it was never written to or has lost its data. */
  storeName(): Promise<string | undefined>
  /** The end of the stream, where a new reader starts. */
  end(): Promise<Position>
  /** Reads from the position of an earlier connection to the end. Rejects with `FeedGap` if entries are missing. */
  resume(from: Position): Promise<Position>
  /** Waits up to `block` milliseconds for new entries. Rejects with `FeedGap` if entries are missing. */
  next(from: Position, block: number): Promise<Position>
}

const EMPTY = '0-0'
const BATCH = 512

/** @param announce called with each announcement, in order */
export function createFeedReader(
  ask: SendCommand,
  { feed, feedNumber, feedStore }: Pick<Keyspace, 'feed' | 'feedNumber' | 'feedStore'>,
  announce: (what: Announcement) => void,
): FeedReader {
  async function read(from: Position, block: number): Promise<Position> {
    const blocking = block === 0 ? [] : ['BLOCK', block]
    const reply = await ask('XREAD', 'COUNT', BATCH, ...blocking, 'STREAMS', feed, from.id)
    let position = from
    for (const entry of readEntries(reply)) {
      if (numberOf(entry) !== position.number + 1) throw gap()
      position = { id: entry.id, number: position.number + 1 }
      for (const what of announcementsOf(entry)) announce(what)
    }
    return position
  }

  async function catchUp(from: Position): Promise<Position> {
    for (let position = from; ;) {
      const counted = Number((await ask('GET', feedNumber)) ?? 0)
      const next = await read(position, 0)
      if (next === position && counted !== position.number) throw gap()
      if (next === position) return position
      position = next
    }
  }

  return {
    async storeName() {
      return nameIn(await ask('GET', feedStore))
    },
    async end() {
      for (;;) {
        const counted = await ask('GET', feedNumber)
        const [newest] = streamEntries(await ask('XREVRANGE', feed, '+', '-', 'COUNT', 1))
        // If the counter has not changed, nothing was announced between the two reads, so they fit together.
        if ((await ask('GET', feedNumber)) === counted)
          return { id: newest?.id ?? EMPTY, number: Number(counted ?? 0) }
      }
    },
    async resume(from) {
      // A server after a failover may lack the newest entries, and may have new ones in their place.
      const [last] = streamEntries(await ask('XRANGE', feed, from.id, from.id))
      if (from.id !== EMPTY && (last === undefined || numberOf(last) !== from.number)) throw gap()
      return catchUp(from)
    },
    async next(from, block) {
      const next = await read(from, block)
      return next === from ? catchUp(from) : next
    },
  }
}

/** The announcements of an entry. An entry of another program is counted, but announces nothing. */
export function announcementsOf(entry: StreamEntry): Announcement[] {
  const text = entry.value('revision')
  const revision = REVISION.test(text) ? Number(text) : undefined
  const [appId, list] = [entry.value('app'), entry.value('list')]
  return [
    ...(isAppId(appId) ? [{ kind: 'app', name: appId, revision } as const] : []),
    ...(isListName(list) ? [{ kind: 'list', name: list, revision } as const] : []),
  ]
}

/** The name of the store in a reply to GET. */
export function nameIn(reply: unknown): string | undefined {
  return typeof reply === 'string' ? reply : undefined
}

function numberOf(entry: StreamEntry): number {
  return Number(entry.value('number'))
}

function gap(): FeedGap {
  return new FeedGap('the change feed was trimmed or emptied')
}
