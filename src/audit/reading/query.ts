import type { AuditEvent } from '../event.ts'

/** Which events to find. An event must match all given members. */
export interface AuditQuery {
  readonly appId?: string | undefined
  /** The id of a person, as passed to `person(id, record)`. */
  readonly person?: string | undefined
  /** The name of a field that was read. */
  readonly field?: string | undefined
  /** ISO 8601: events at or after this time. */
  readonly from?: string | undefined
  /** ISO 8601: events before this time. */
  readonly to?: string | undefined
  /** The code of a decision: `ADDRESS_NOT_ALLOWED`. */
  readonly code?: string | undefined
  readonly requestId?: string | undefined
  /** The name of an operation: `GET /me`. */
  readonly operation?: string | undefined
}

/** Members that events of all kinds may have. */
type AnyEvent = AuditEvent & {
  readonly person?: unknown
  readonly persons?: unknown
  readonly field?: unknown
  readonly fields?: unknown
  readonly operation?: unknown
  readonly decisions?: unknown
}

/** The pseudonyms of the people in an event. */
export function peopleIn(event: AuditEvent): readonly string[] {
  const { person, persons } = event as AnyEvent
  const listed = Array.isArray(persons)
    ? persons.map((each: unknown) => (Array.isArray(each) ? (each[0] as unknown) : each))
    : []
  return [person, ...listed].filter((each): each is string => typeof each === 'string')
}

/** How often each field of a person was read, according to an event. */
export function fieldsOf(
  event: AuditEvent,
  pseudonyms: ReadonlySet<string>,
): Readonly<Record<string, number>> {
  const { field, fields, person, persons } = event as AnyEvent
  if (typeof field === 'string' && typeof person === 'string' && pseudonyms.has(person)) {
    return { [field]: event.kind === 'field' ? event.reads : 1 }
  }
  if (!Array.isArray(fields)) return {}
  const names = (fields as unknown[]).map(String)
  const rows: unknown[] = Array.isArray(persons) ? persons : []
  const row = rows.find((each) => pseudonyms.has(String(Array.isArray(each) ? each[0] : each)))
  if (row === undefined) return {}
  const counts: unknown[] = Array.isArray(row) ? row.slice(1) : names.map(() => 1)
  return Object.fromEntries(
    names
      .map((name, index): [string, number] => [name, Number(counts[index] ?? 0)])
      .filter(([, count]) => count > 0),
  )
}

/** Whether an event matches. `pseudonyms` are those of the requested person. */
export function fits(
  event: AuditEvent,
  query: AuditQuery,
  pseudonyms: ReadonlySet<string> | undefined,
): boolean {
  const { appId, field, from, to, code, requestId, operation } = query
  const { fields, field: ownField, operation: ownOperation, decisions } = event as AnyEvent
  if (appId !== undefined && event.appId !== appId) return false
  if (requestId !== undefined && event.requestId !== requestId) return false
  if (from !== undefined && Date.parse(event.time) < Date.parse(from)) return false
  if (to !== undefined && Date.parse(event.time) >= Date.parse(to)) return false
  if (operation !== undefined && ownOperation !== operation) return false
  if (field !== undefined && ownField !== field && !(Array.isArray(fields) && fields.includes(field)))
    return false
  if (code !== undefined) {
    const codes = Array.isArray(decisions)
      ? (decisions as { readonly code?: unknown }[]).map((each) => each.code)
      : []
    if (!codes.includes(code)) return false
  }
  return pseudonyms === undefined || peopleIn(event).some((person) => pseudonyms.has(person))
}
