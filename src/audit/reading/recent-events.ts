import { required, checkOptions, objectWith, wholeNumber } from '../../options.ts'
import type { AuditEvent } from '../event.ts'
import { parseEvent } from '../line.ts'
import { linesOf } from '../log/frame.ts'
import type { FrameStore, StoredFrame } from '../log/frame-store.ts'

/** Which recent events to find. An event must match all given members. */
export interface RecentEventsQuery {
  readonly appId?: string | undefined
  readonly requestId?: string | undefined
  /** ISO 8601: only events at or after this time. */
  readonly since?: string | undefined
  /** How many events at most, newest first. */
  readonly limit: number
}

/** The events that were found, newest first. */
export interface RecentEvents {
  readonly events: readonly AuditEvent[]
  /** Whether all matching events are included: `false` if `limit` was reached, or if older events were not searched. */
  readonly isComplete: boolean
}

/** Finds recent events for `createConsole`. */
export type FindRecentEvents = (query: RecentEventsQuery) => Promise<RecentEvents>

export interface RecentEventsOptions {
  /** How many events one query searches, newest first. Default 20,000. */
  readonly most?: number | undefined
}

export const MOST_LOOKED_AT = 20_000
/** How many frames are read at once. */
const PAGE = 64

/**
 * Finds the newest events of an `auditLog`, for the option `recentEvents` of `createConsole`. It searches at most `most` events,
 * newest first.
 *
 * @param store the store of the frames, such as `redisFrames(redis)`.
 * @throws ConfigError
 */
export function recentLogEvents(store: FrameStore, options: RecentEventsOptions = {}): FindRecentEvents {
  const { most = MOST_LOOKED_AT } = checkOptions<RecentEventsOptions & { readonly store: FrameStore }>(
    'recentLogEvents',
    { store, ...options },
    {
      store: required(
        objectWith('a frame store that can read backwards, such as `redisFrames(redis)`', 'readBack'),
      ),
      most: wholeNumber('events', 1),
    },
  )
  return (query) => collect(linesBack(store), query, most)
}

/** The lines of all frames, newest first, in pages. */
async function* linesBack(store: FrameStore): AsyncGenerator<readonly string[]> {
  let before: string | undefined
  for (;;) {
    const frames: readonly StoredFrame[] = (await store.readBack?.(before, PAGE)) ?? []
    yield frames.flatMap(({ bytes }) => (bytes.length === 0 ? [] : linesOf(bytes).toReversed()))
    if (frames.length < PAGE) return
    before = frames.at(-1)?.place
  }
}

/** The matching events of lines that are sorted newest first. */
export async function collect(
  pages: AsyncIterable<readonly string[]>,
  { appId, requestId, since = '', limit }: RecentEventsQuery,
  most: number,
): Promise<RecentEvents> {
  const events: AuditEvent[] = []
  // Text that a matching line must contain. Most lines belong to other apps, and need not be parsed.
  const marks = Object.entries({ appId, requestId }).flatMap(([name, value]) =>
    value === undefined ? [] : [`"${name}":${JSON.stringify(value)}`],
  )
  let looked = 0
  for await (const lines of pages) {
    let newest = ''
    for (const line of lines) {
      if (looked === most) return { events, isComplete: false }
      looked += 1
      if (!marks.every((mark) => line.includes(mark))) continue
      const event = parseEvent(line)
      if (event === undefined) continue
      if (event.time > newest) newest = event.time
      if (event.time < since) continue
      if (appId !== undefined && event.appId !== appId) continue
      if (requestId !== undefined && event.requestId !== requestId) continue
      if (events.length === limit) return { events, isComplete: false }
      events.push(event)
    }
    // Events are sorted by the end of their request. After a page with only older events, nothing can match.
    if (newest !== '' && newest < since) break
  }
  return { events, isComplete: true }
}
