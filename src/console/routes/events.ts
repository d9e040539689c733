import { setTimeout as sleep } from 'node:timers/promises'
import type { OperationEvent } from '../../audit/event.ts'
import type { GuardName } from '../../decision.ts'
import { GUARD_NAMES } from '../../policy/sections.ts'
import type {
  GuardTraffic,
  HourOfTraffic,
  RequestRow,
  RequestRows,
  RequestView,
  TrafficView,
} from '../contract.ts'
import { findApp, type Desk } from '../desk.ts'
import { pageLimit } from '../page.ts'
import { ConsoleProblem } from '../problems.ts'
import { eventsOf, judged, recentRequests } from '../recorded.ts'
import { route, type Route } from '../route.ts'
import type { Sessions } from '../sessions.ts'

const HOUR = 3_600_000

export function eventRoutes(desk: Desk, sessions: Pick<Sessions, 'find'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/apps/:appId/traffic',
      access: ['look'],
      summary:
        'How many requests of the last seven days passed or were refused, by protection and by hour. Contains only counts.',
      async handle({ params: { appId = '' } }) {
        await findApp(desk, appId)
        const { requests, isComplete } = await recentRequests(desk, appId)
        return { body: trafficOf(requests, isComplete, desk.now()) }
      },
    }),
    route({
      method: 'GET',
      path: '/apps/:appId/requests',
      access: ['look-at-personal-data'],
      personal: true,
      summary: 'Recent requests of an app, newest first.',
      async handle({ params: { appId = '' }, query }) {
        await findApp(desk, appId)
        const events = judged((await eventsOf(desk, { appId, limit: pageLimit(query, 100) })).events)
        const body: RequestRows = { rows: events.map(rowOf) }
        return { body }
      },
    }),
    route({
      method: 'GET',
      path: '/apps/:appId/tail',
      access: ['look-at-personal-data'],
      personal: true,
      summary: 'Requests of an app as they arrive, as server-sent events, for ten minutes.',
      async handle({ params: { appId = '' }, req, session: { id } }) {
        await findApp(desk, appId)
        // Checked again, so that a user who has signed out or lost the right sees nothing more.
        const mayLook = async (): Promise<boolean> => {
          const session = await sessions.find(req)
          return session?.id === id && session.rights.has('look-at-personal-data')
        }
        // Read before the first byte is sent, so that an error can still be reported by the status.
        const before = await latest(desk, appId)
        return { events: (gone) => tailOf(desk, appId, before, { gone, mayLook }) }
      },
    }),
    route({
      method: 'GET',
      path: '/requests/:requestId',
      access: ['look-at-personal-data'],
      personal: true,
      summary:
        'The record of one request: its decisions with their evidence, and the personal data that was read.',
      async handle({ params: { requestId = '' } }) {
        const { events } = await eventsOf(desk, { requestId, limit: 200 })
        if (events.length === 0)
          throw new ConsoleProblem('NOT_FOUND', { detail: 'there is no record of this request' })
        const body: RequestView = { requestId, events: [...events].reverse() }
        return { body }
      },
    }),
  ]
}

/** The longest tail, in milliseconds. To continue, the user must ask again, which is recorded again. */
const LONGEST_TAIL = 10 * 60_000
const ASKED_EVERY = 1_000

/** How long a request may take until it is recorded, in milliseconds. Events are sorted by the end of their request. */
const LATE = 60_000

const latest = async (desk: Desk, appId: string): Promise<OperationEvent[]> =>
  judged(
    (await eventsOf(desk, { appId, since: new Date(desk.now() - LATE).toISOString(), limit: 500 })).events,
  )

/** Server-sent events for everything after `before`. */
async function* tailOf(
  desk: Desk,
  appId: string,
  before: readonly OperationEvent[],
  { gone, mayLook }: { gone: AbortSignal; mayLook(): Promise<boolean> },
): AsyncGenerator<string> {
  const end = desk.now() + LONGEST_TAIL
  let told = new Set(before.map(({ id }) => id))
  while (!gone.aborted && desk.now() < end) {
    const events = await latest(desk, appId)
    // Checked between reading and sending.
    if (!(await mayLook())) return
    const lines = events
      .filter(({ id }) => !told.has(id))
      .reverse()
      .map((event) => `data: ${JSON.stringify(rowOf(event))}\n\n`)
    told = new Set(events.map(({ id }) => id))
    yield lines.length === 0 ? ': nothing new\n\n' : lines.join('')
    await sleep(ASKED_EVERY, undefined, { signal: gone }).catch(() => undefined)
  }
}

function rowOf({
  requestId,
  time,
  operation,
  outcome,
  status,
  address,
  decisions,
}: OperationEvent): RequestRow {
  const refusals = decisions.filter(({ effect }) => effect === 'deny')
  return {
    requestId,
    time,
    operation,
    outcome,
    status,
    address,
    refusals: refusals.map(({ guard, mode, code, detail }) => ({ guard, mode, code, detail })),
  }
}

function trafficOf(events: readonly OperationEvent[], isComplete: boolean, now: number): TrafficView {
  const guards = new Map<GuardName, GuardTraffic>()
  const hours = new Map<number, { passed: number; refused: number; reported: number }>()
  // Oldest first, because a change of the mode starts a new count.
  for (const { time, outcome, decisions } of events.toReversed()) {
    const hour = Math.floor(Date.parse(time) / HOUR) * HOUR
    const count = hours.get(hour) ?? { passed: 0, refused: 0, reported: 0 }
    if (outcome === 'refused') count.refused += 1
    else if (decisions.some(({ effect }) => effect === 'deny')) count.reported += 1
    else count.passed += 1
    hours.set(hour, count)
    for (const { guard, mode, effect } of decisions) {
      const before = guards.get(guard)
      const known = before?.mode === mode ? before : { mode, since: time, judged: 0, denied: 0 }
      guards.set(guard, {
        ...known,
        judged: known.judged + 1,
        denied: known.denied + (effect === 'deny' ? 1 : 0),
      })
    }
  }
  const byHour = Array.from({ length: 24 }, (_, index): HourOfTraffic => {
    const at = (Math.floor(now / HOUR) - 23 + index) * HOUR
    const { passed = 0, refused = 0, reported = 0 } = hours.get(at) ?? {}
    return { at: new Date(at).toISOString(), passed, refused, reported }
  })
  return {
    requests: events.length,
    isComplete,
    guards: GUARD_NAMES.flatMap((guard) => {
      const traffic = guards.get(guard)
      return traffic === undefined ? [] : [{ guard, ...traffic }]
    }),
    hours: byHour,
  }
}
