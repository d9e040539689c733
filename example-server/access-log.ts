import type { AuditEvent } from 'portcullis/audit'
import { createPseudonyms } from 'portcullis/audit'
import type { ConsoleOptions } from 'portcullis/console'

export interface AccessLogDependencies {
  readonly pseudonymKey: Uint8Array
  /** Finds the newest events of the audit, the newest first. */
  readonly recentEvents: NonNullable<ConsoleOptions['recentEvents']>
  /** How people call an app. */
  nameOf(appId: string): Promise<string>
  /** How people call the gateway. */
  readonly gatewayName: string
}

/** The purpose of the gateway when it shows people their own data on its pages. No app gets the data by this. */
export const SHOWN = 'shown to the person'

/** One request that has used data of a person. */
export interface Access {
  readonly time: string
  /** The app that got it, or the gateway. */
  readonly app: string
  /** The app for whose sign-in the gateway showed a page. */
  readonly signInTo?: string | undefined
  readonly by: 'staff' | 'user' | 'system' | undefined
  readonly what: string
  readonly fields: readonly string[]
  readonly why?: string | undefined
  readonly operation?: string | undefined
}

/** How many accesses are shown, the newest first. */
export const MOST_ACCESSES = 100

/** How many events are looked at, the newest first. */
const MOST_EVENTS = 20_000

/**
 * Who has used which field of a person, when and why. The audit holds pseudonyms alone, so the person's own is made anew
 * from the key. Who of the staff it was is not told.
 */
export function createAccessLog({ pseudonymKey, recentEvents, nameOf, gatewayName }: AccessLogDependencies) {
  const pseudonymise = createPseudonyms(pseudonymKey)
  return async (personId: string): Promise<Access[]> => {
    const person = pseudonymise('person', personId)
    const found = await recentEvents({ limit: MOST_EVENTS })
    const accesses = accessesOf('events' in found ? found.events : found, person)
    const apps = [...new Set(accesses.map(({ app }) => app))]
    const names = new Map(await Promise.all(apps.map(async (app) => [app, await nameOf(app)] as const)))
    return accesses.map((access) => {
      const app = names.get(access.app) ?? access.app
      if (access.why !== SHOWN || app === gatewayName) return { ...access, app }
      return { ...access, app: gatewayName, signInTo: app }
    })
  }
}

export type AccessLog = ReturnType<typeof createAccessLog>

/** Of events from the newest back what concerns this person: one access for each request, with all fields that it used. */
function accessesOf(events: readonly AuditEvent[], person: string): Access[] {
  const operations = new Map<string, string>()
  for (const event of events) if (event.kind === 'operation') operations.set(event.requestId, event.operation)
  const accesses = new Map<string, Access>()
  for (const event of events) {
    const used = useOf(event, person)
    if (used === undefined) continue
    const { time, appId: app = '', actorKind: by, requestId } = event
    const key = JSON.stringify([requestId, app, by, used.what, used.why])
    const known = accesses.get(key)
    if (known === undefined && accesses.size >= MOST_ACCESSES) continue
    const fields = new Set([...used.fields, ...(known?.fields ?? [])])
    accesses.set(key, { time, app, by, ...used, fields: [...fields], operation: operations.get(requestId) })
  }
  return [...accesses.values()]
}

/** What of one event concerns this person. */
function useOf(event: AuditEvent, person: string): Pick<Access, 'what' | 'fields' | 'why'> | undefined {
  if (event.kind === 'field' && event.person === person)
    return { what: 'read', fields: [event.field], why: event.purpose }
  if (event.kind === 'list') {
    const [, ...reads] = event.persons.find(([each]) => each === person) ?? ['']
    const fields = event.fields.filter((_field, at) => (reads[at] ?? 0) > 0)
    return fields.length === 0 ? undefined : { what: 'read', fields, why: event.purpose }
  }
  if (event.kind === 'action' && event.persons.includes(person))
    return { what: event.action, fields: event.fields ?? [], why: event.purpose }
  return undefined
}
