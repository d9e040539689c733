import { randomUUID } from 'node:crypto'
import type { AuditEvent, FieldEvent, Pseudonymise } from './event.ts'
import { personalView, type DeepReadonly, type FieldGetters } from './personal-view.ts'

export interface PersonOptions {
  /** The kind of record: `user`. */
  readonly record?: string | undefined
  /** Why it is read: `support`. */
  readonly purpose?: string | undefined
}

export interface AuditSessionOptions {
  readonly requestId: string
  /** Who calls, known at the latest when events are taken. */
  who(): { readonly appId?: string | undefined; readonly actor?: string | undefined }
  readonly pseudonymise: Pseudonymise
  /** The clock, in milliseconds since the epoch. */
  now(): number
  /** Makes the id of an event. Default: a random UUID. */
  readonly newId?: (() => string) | undefined
  /** Getters that views share. Default: those of this request; sharing them among requests makes views cheaper. */
  readonly getters?: FieldGetters | undefined
}

/** The reads of personal data of one request. */
export interface AuditSession {
  /**
   * A view of the record of this person, of which every read of a field becomes an event: one per person and field, with
   * a count. Hand the view on and not the record. See `personalView` for what can be a record.
   *
   * @throws TypeError when the id is no text or empty, or the record is not a plain object.
   */
  person<T extends object>(id: string, record: T, options?: PersonOptions): DeepReadonly<T>
  /** The events since they were last taken. A field that is read again makes a further event. */
  take(): AuditEvent[]
  /** From now on events are not waited for by anybody: those of each tick are handed to `late` by themselves. */
  finish(late: (events: AuditEvent[]) => void): void
  /** From now on nothing is recorded. */
  silence(): void
}

/** What was read of one person under one name of record and one purpose. */
interface Readings {
  readonly person: string
  readonly options: PersonOptions
  readonly fields: Map<string, { readonly since: number; reads: number }>
}

/** Starts the collection of one request. */
export function createAuditSession(given: AuditSessionOptions): AuditSession {
  const { requestId, who, pseudonymise, now, newId = randomUUID, getters = new Map() } = given
  const people = new Map<string, Readings>()
  let untaken = false
  let late: ((events: AuditEvent[]) => void) | undefined
  let silent = false

  function take(): AuditEvent[] {
    if (!untaken) return []
    untaken = false
    const events: FieldEvent[] = []
    const asker = who()
    for (const { person, options, fields } of people.values()) {
      if (fields.size === 0) continue
      const pseudonym = pseudonymise('person', person)
      for (const [field, { since, reads }] of fields) {
        const time = new Date(since).toISOString()
        const what = { person: pseudonym, field, reads, ...options }
        events.push({ kind: 'field', version: 1, id: newId(), time, requestId, ...asker, ...what })
      }
      fields.clear()
    }
    return events
  }

  function count({ fields }: Readings, field: string): void {
    if (silent) return
    const reading = fields.get(field)
    if (reading === undefined) fields.set(field, { since: now(), reads: 1 })
    else reading.reads += 1
    if (!untaken) {
      untaken = true
      if (late !== undefined) queueMicrotask(handOver)
    }
  }

  function handOver(): void {
    const events = take()
    if (events.length > 0) late?.(events)
  }

  return {
    person(id, record, { record: kind, purpose } = {}) {
      if (typeof id !== 'string' || id === '') throw new TypeError('the id of a person must be a text')
      const key = JSON.stringify([id, kind, purpose])
      const readings = people.get(key) ?? {
        person: id,
        options: { ...(kind !== undefined && { record: kind }), ...(purpose !== undefined && { purpose }) },
        fields: new Map(),
      }
      people.set(key, readings)
      return personalView(record, (field) => count(readings, field), getters)
    },
    take,
    finish(handler) {
      late = handler
      if (untaken) queueMicrotask(handOver)
    },
    silence() {
      silent = true
    },
  }
}
