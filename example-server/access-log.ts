import type { AuditEvent } from 'portcullis/audit'
import { createPseudonyms } from 'portcullis/audit'
import type { ConsoleOptions } from 'portcullis/console'

export interface AccessLogDependencies {
  readonly pseudonymKey: Uint8Array
  /** Finds the newest events of the audit, newest first. */
  readonly recentEvents: NonNullable<ConsoleOptions['recentEvents']>
  /** The name of an app, as people see it. */
  nameOf(appId: string): Promise<string>
  /** The name of the gateway, as people see it. */
  readonly gatewayName: string
}

/** The purpose recorded when the gateway shows people their own data. No app receives the data then. */
export const SHOWN = 'shown to the person'

/** One request that used data of a person. */
export interface Access {
  readonly time: string
  /** The name of the app that received the data, or of the gateway. */
  readonly app: string
  /** The app that the person was signing in to when the gateway showed the page. */
  readonly signInTo?: string | undefined
  readonly by: 'staff' | 'user' | 'system' | undefined
  readonly what: string
  readonly fields: readonly string[]
  readonly why?: string | undefined
  readonly operation?: string | undefined
}

/** The maximum number of accesses shown, newest first. */
export const MOST_ACCESSES = 100

/** The maximum number of events searched, newest first. */
const MOST_EVENTS = 20_000

/**
 * Lists who used which field of a person, when and why. The audit contains only pseudonyms, so the person's pseudonym
 * is computed from the key. The list says that a member of staff used the data, but not which one.
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

/**
 * The accesses to this person's data, from events sorted newest first. Fields used by the same request form one access.
 */
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

/** The fields of this person that one event used, or `undefined` if it used none. */
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
