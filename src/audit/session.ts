import { randomUUID } from 'node:crypto'
import type { AuditEvent, FieldEvent, Pseudonymise } from './event.ts'
import { personalView, type DeepReadonly } from './personal-view.ts'

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
}

/** The reads of personal data of one request. */
export interface AuditSession {
  /**
   * A view of the record of this person, of which every read of a field becomes an event: one per person and field, with
   * a count. Hand the view on and not the record. See `personalView` for what can be a record.
   *
   * @throws TypeError when the record is not a plain object.
   */
  person<T extends object>(id: string, record: T, options?: PersonOptions): DeepReadonly<T>
  /** The events since they were last taken. */
  take(): AuditEvent[]
  /** From now on events are not waited for by anybody: each read is handed to `late` by itself. */
  finish(late: (events: AuditEvent[]) => void): void
  /** From now on nothing is recorded. */
  silence(): void
}

interface Reading {
  readonly person: string
  readonly field: string
  readonly options: PersonOptions
  reads: number
}

/** Starts the collection of one request. */
export function createAuditSession({ requestId, who, pseudonymise, now }: AuditSessionOptions): AuditSession {
  let readings = new Map<string, Reading>()
  let late: ((events: AuditEvent[]) => void) | undefined
  let silent = false

  function take(): AuditEvent[] {
    if (readings.size === 0) return []
    const time = new Date(now()).toISOString()
    const events = [...readings.values()].map(({ person, field, options, reads }): FieldEvent => ({
      kind: 'field',
      version: 1,
      id: randomUUID(),
      time,
      requestId,
      ...who(),
      person: pseudonymise('person', person),
      field,
      reads,
      ...options,
    }))
    readings = new Map()
    return events
  }

  function count(person: string, field: string, options: PersonOptions): void {
    if (silent) return
    const key = JSON.stringify([person, field, options.record, options.purpose])
    const reading = readings.get(key)
    if (reading === undefined) readings.set(key, { person, field, options, reads: 1 })
    else reading.reads += 1
    if (late !== undefined) late(take())
  }

  return {
    person(id, record, { record: kind, purpose } = {}) {
      const options = {
        ...(kind !== undefined && { record: kind }),
        ...(purpose !== undefined && { purpose }),
      }
      return personalView(record, (field) => count(id, field, options))
    },
    take,
    finish(handler) {
      late = handler
    },
    silence() {
      silent = true
    },
  }
}
