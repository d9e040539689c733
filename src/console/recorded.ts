import type { AuditEvent, OperationEvent } from '../audit/event.ts'
import type { RecentEvents, RecentEventsQuery } from '../audit/reading/recent-events.ts'
import type { Desk } from './desk.ts'
import { ConsoleProblem } from './problems.ts'

/** How far back the counts go, in milliseconds. */
const BACK = 7 * 24 * 3_600_000
/** How many requests are counted at most: the newest. */
const MOST = 5_000

/** @throws ConsoleProblem if the console was created without `recentEvents`. */
export async function eventsOf({ recentEvents }: Desk, query: RecentEventsQuery): Promise<RecentEvents> {
  if (recentEvents === undefined)
    throw new ConsoleProblem('NOT_SUPPORTED', { detail: 'the console was created without `recentEvents`' })
  const found = await recentEvents(query)
  if ('isComplete' in found) return found
  return { events: found, isComplete: found.length < query.limit }
}

/** The requests that guards have judged, without the requests to the console that concern the app. */
export function judged(events: readonly AuditEvent[]): OperationEvent[] {
  return events.filter(
    (event): event is OperationEvent => event.kind === 'operation' && event.decisions.length > 0,
  )
}

/** The requests of an app in the last seven days, newest first, and whether these are all of them. */
export async function recentRequests(
  desk: Desk,
  appId: string,
): Promise<{ readonly requests: readonly OperationEvent[]; readonly isComplete: boolean }> {
  const since = new Date(desk.now() - BACK).toISOString()
  const { events, isComplete } = await eventsOf(desk, { appId, since, limit: MOST })
  return { requests: judged(events), isComplete }
}
