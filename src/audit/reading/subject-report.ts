import type { AuditEvent } from '../event.ts'
import type { StoredFrame } from '../log/frame-store.ts'
import { parseEvent } from '../line.ts'
import { linesOf } from '../log/frame.ts'
import { fieldsOf, peopleIn } from './query.ts'

/** One access to the data of a person. */
export interface SubjectAccess {
  readonly time: string
  readonly requestId: string
  /** The app that made the request: a recipient of the data. */
  readonly appId?: string | undefined
  /** What was called: `GET /people/:id`. */
  readonly operation?: string | undefined
  /** The kind of record. */
  readonly record?: string | undefined
  readonly purpose?: string | undefined
  /** Each field, and how often it was read. */
  readonly fields: Readonly<Record<string, number>>
  /** What was done with the data apart from reading it: `update`, `export`. */
  readonly action?: string | undefined
  /** Pseudonym of the person who acted, if it was requested. */
  readonly actor?: string | undefined
}

/** The answer to "Who has read my data?" */
export interface SubjectReport {
  readonly generated: string
  readonly accesses: readonly SubjectAccess[]
  /** The apps that have received data. */
  readonly recipients: readonly string[]
  /** How often each field was read. */
  readonly fields: Readonly<Record<string, number>>
}

interface AnyAccess {
  readonly record?: unknown
  readonly purpose?: unknown
  readonly action?: unknown
}

/** Collects what a log contains about a person. */
export async function subjectReport(
  frames: AsyncIterable<StoredFrame>,
  pseudonyms: ReadonlySet<string>,
  { revealActors, now }: { readonly revealActors: boolean; readonly now: string },
): Promise<SubjectReport> {
  const accesses = new Map<string, SubjectAccess>()
  const operations = new Map<string, string>()
  for await (const { bytes } of frames) {
    const events = linesOf(bytes).flatMap((line) => parseEvent(line) ?? [])
    for (const event of events) {
      if (event.kind === 'operation') operations.set(event.requestId, event.operation)
      if (!peopleIn(event).some((person) => pseudonyms.has(person))) continue
      takeIn(accesses, event, pseudonyms, revealActors)
    }
  }
  const all = [...accesses.values()].map((access) => {
    const operation = operations.get(access.requestId)
    return operation === undefined ? access : { ...access, operation }
  })
  const fields: Record<string, number> = {}
  for (const access of all) addUp(fields, access.fields)
  const recipients = [...new Set(all.flatMap(({ appId }) => appId ?? []))].toSorted()
  return { generated: now, accesses: all, recipients, fields }
}

/** Adds an event to the access it belongs to: one for each request, record, purpose and action. */
function takeIn(
  accesses: Map<string, SubjectAccess>,
  event: AuditEvent,
  pseudonyms: ReadonlySet<string>,
  revealActors: boolean,
): void {
  const { record, purpose, action } = event as AnyAccess
  const key = JSON.stringify([event.requestId, record, purpose, action])
  const known = accesses.get(key)
  const fields = Object.assign(Object.create(null), known?.fields) as Record<string, number>
  addUp(fields, fieldsOf(event, pseudonyms))
  accesses.set(key, {
    time: known?.time ?? event.time,
    requestId: event.requestId,
    ...(event.appId === undefined ? {} : { appId: event.appId }),
    ...(typeof record === 'string' ? { record } : {}),
    ...(typeof purpose === 'string' ? { purpose } : {}),
    ...(typeof action === 'string' ? { action } : {}),
    ...(revealActors && event.actor !== undefined ? { actor: event.actor } : {}),
    fields: { ...fields },
  })
}

function addUp(sum: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more))
    sum[name] = (Object.hasOwn(sum, name) ? (sum[name] ?? 0) : 0) + count
}

/** A report as text, to print and send to the person. */
export function printSubjectReport({ generated, accesses, recipients, fields }: SubjectReport): string {
  const lines = [`Accesses to your personal data, as of ${generated}`, '']
  if (accesses.length === 0) lines.push('No accesses are recorded.')
  for (const { time, appId, operation, purpose, action, fields: read, actor } of accesses) {
    lines.push(`${time}  ${appId ?? 'no app'}  ${operation ?? 'no operation'}`)
    if (action !== undefined) lines.push(`    ${action}`)
    const names = Object.entries(read).map(([name, count]) =>
      count === 1 ? name : `${name} (${count} times)`,
    )
    if (names.length > 0) lines.push(`    read: ${names.join(', ')}`)
    lines.push(`    purpose: ${purpose ?? 'not stated'}`)
    if (actor !== undefined) lines.push(`    by: ${actor}`)
  }
  const sums = Object.entries(fields).map(([name, count]) => `${name} ${count}`)
  if (sums.length > 0) lines.push('', `Reads of each field: ${sums.join(', ')}`)
  if (recipients.length > 0) lines.push(`Recipients: ${recipients.join(', ')}`)
  return `${lines.join('\n')}\n`
}
