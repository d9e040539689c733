import type { AuditEvent, FindRecentEvents, SubjectReport } from 'portcullis/audit'
import { createPseudonyms } from 'portcullis/audit'

export interface AccessLogDependencies {
  readonly pseudonymKey: Uint8Array
  /** Finds the newest events of the audit, newest first. */
  readonly recentEvents: FindRecentEvents
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
  readonly requestId: string
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
export function createAccessLog({
  pseudonymKey,
  recentEvents,
  nameOf,
  gatewayName,
}: AccessLogDependencies): AccessLog {
  const pseudonymise = createPseudonyms(pseudonymKey)
  async function find(personId: string, most: number): Promise<Found> {
    const person = pseudonymise('person', personId)
    const { events, isComplete } = await recentEvents({ limit: MOST_EVENTS })
    const accesses = accessesOf(events, person, most)
    const apps = [...new Set(accesses.map(({ app }) => app))]
    const names = new Map(await Promise.all(apps.map(async (app) => [app, await nameOf(app)] as const)))
    const named = accesses.map((access) => {
      const app = names.get(access.app) ?? access.app
      if (access.why !== SHOWN || app === gatewayName) return { ...access, app }
      return { ...access, app: gatewayName, signInTo: app }
    })
    return { accesses: named, isComplete }
  }
  return {
    list: async (personId) => (await find(personId, MOST_ACCESSES)).accesses,
    async report(personId) {
      const { accesses, isComplete } = await find(personId, Infinity)
      return { ...reportOf(accesses, gatewayName), isComplete }
    },
  }
}

interface Found {
  readonly accesses: readonly Access[]
  /** Whether no event was left out. */
  readonly isComplete: boolean
}

export interface AccessLog {
  /** The newest accesses to this person's data. */
  list(personId: string): Promise<readonly Access[]>
  /** All of them, as the console shows them to an operator. */
  report(personId: string): Promise<SubjectReport & { readonly isComplete: boolean }>
}

function reportOf(accesses: readonly Access[], gatewayName: string): SubjectReport {
  const fields: Record<string, number> = {}
  for (const field of accesses.flatMap((access) => access.fields)) fields[field] = (fields[field] ?? 0) + 1
  const apps = accesses.map(({ app }) => app).filter((app) => app !== gatewayName)
  return {
    generated: new Date().toISOString(),
    accesses: accesses.map(({ time, requestId, app, what, why, operation, fields: read }) => ({
      time,
      requestId,
      appId: app,
      operation,
      purpose: why,
      ...(what !== 'read' && { action: what }),
      fields: Object.fromEntries(read.map((field) => [field, 1])),
    })),
    recipients: [...new Set(apps)].toSorted(),
    fields,
  }
}

/**
 * The accesses to this person's data, from events sorted newest first. Fields used by the same request form one access.
 */
function accessesOf(events: readonly AuditEvent[], person: string, most: number): Access[] {
  const operations = new Map<string, string>()
  for (const event of events) if (event.kind === 'operation') operations.set(event.requestId, event.operation)
  const accesses = new Map<string, Access>()
  for (const event of events) {
    const used = useOf(event, person)
    if (used === undefined) continue
    const { time, appId: app = '', actorKind: by, requestId } = event
    const key = JSON.stringify([requestId, app, by, used.what, used.why])
    const known = accesses.get(key)
    if (known === undefined && accesses.size >= most) continue
    const fields = new Set([...used.fields, ...(known?.fields ?? [])])
    const operation = operations.get(requestId)
    accesses.set(key, { time, requestId, app, by, ...used, fields: [...fields], operation })
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
