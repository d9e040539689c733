import { required, checkOptions, objectWith, wholeNumber } from '../../options.ts'
import type { AuditEvent } from '../event.ts'
import { parseEvent } from '../line.ts'
import { linesOf } from '../log/frame.ts'
import type { FrameStore, StoredFrame } from '../log/frame-store.ts'

/** Which recent events to find. An event must match all given members. */
export interface RecentEventsQuery {
  readonly appId?: string | undefined
  readonly requestId?: string | undefined
  /** ISO 8601; only events from then on. */
  readonly since?: string | undefined
  /** How many at most, the newest first. */
  readonly limit: number
}

/** What was found, the newest first. */
export interface RecentEvents {
  readonly events: readonly AuditEvent[]
  /** Whether all matching events are included: `false` if `limit` was reached, or if older events were not searched. */
  readonly isComplete: boolean
}

/** Finds recent events, as `createConsole` asks for them. */
export type FindRecentEvents = (query: RecentEventsQuery) => Promise<RecentEvents>

export interface RecentEventsOptions {
  /** How many events one query searches, starting with the newest. Default 20,000. */
  readonly most?: number | undefined
}

export const MOST_LOOKED_AT = 20_000
/** How many frames are read at once. */
const PAGE = 64

/**
 * Finds the newest events of an `auditLog`: what `createConsole` takes as `recentEvents`. It searches at most `most` events,
 * starting with the newest.
 *
 * @param store where the frames are, such as `redisFrames(redis)`.
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

/** The lines of the frames from the newest back, a page at a time. */
async function* linesBack(store: FrameStore): AsyncGenerator<readonly string[]> {
  let before: string | undefined
  for (;;) {
    const frames: readonly StoredFrame[] = (await store.readBack?.(before, PAGE)) ?? []
    yield frames.flatMap(({ bytes }) => (bytes.length === 0 ? [] : linesOf(bytes).toReversed()))
    if (frames.length < PAGE) return
    before = frames.at(-1)?.place
  }
}

/** Of lines from the newest back those that are asked for. */
export async function collect(
  pages: AsyncIterable<readonly string[]>,
  { appId, requestId, since = '', limit }: RecentEventsQuery,
  most: number,
): Promise<RecentEvents> {
  const events: AuditEvent[] = []
  // What a line must have in it to be worth reading: most lines are of other apps.
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
    // Events come in the order of their ends: a page of nothing but older ones is the last that can matter.
    if (newest !== '' && newest < since) break
  }
  return { events, isComplete: true }
}
