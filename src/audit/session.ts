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
  /** The clock, in milliseconds since the epoch. */
  now(): number
  /** Makes the id of an event. Default: a random UUID. */
  readonly newId?: (() => string) | undefined
  /** Getters that views share. Default: those of this request; sharing them among requests makes views cheaper. */
  readonly getters?: FieldGetters | undefined
}

/** The reads of personal data of one request: one session, however many audits record it. */
export interface AuditSession {
  /**
   * A view of the record of this person, of which every read of a field becomes an event: one per person and field, with
   * a count. Hand the view on and not the record. See `personalView` for what can be a record.
   *
   * @throws TypeError when the id is not a string or is empty, or the record is not a plain object.
   */
  person<T extends object>(id: string, record: T, options?: PersonOptions): DeepReadonly<T>
  /** Opens one more log of these reads. It has those that were made before, too. */
  attach(options: ReadLogOptions): ReadLog
}

export interface ReadLogOptions {
  /** The caller, asked for when events are taken. */
  who(): { readonly appId?: string | undefined; readonly actor?: string | undefined }
  readonly pseudonymise: Pseudonymise
}

/** What one audit records of the reads of a request. */
export interface ReadLog {
  /** The events since they were last taken. A field that is read again makes a further event. */
  take(): AuditEvent[]
  /** From now on events are not waited for by anybody: those of each tick are handed to `late` by themselves. */
  finish(late: (events: AuditEvent[]) => void): void
  /** From now on nothing is recorded. */
  silence(): void
}

/** Reads of one person under one name of record and one purpose. */
interface Subject {
  readonly person: string
  readonly options: PersonOptions
}

interface Reading {
  readonly since: number
  reads: number
}

type Fields = Map<string, Reading>

/** Starts the collection of one request. */
export function createAuditSession({
  requestId,
  now,
  newId = randomUUID,
  getters = new Map(),
}: AuditSessionOptions): AuditSession {
  const logs: Log[] = []
  // Most requests read nothing.
  let subjects: Map<string, Subject> | undefined
  let all: Readings | undefined

  function count(subject: Subject, field: string): void {
    const at = now()
    all ??= new Readings()
    all.add(subject, field, at, 1)
    for (const log of logs) log.add(subject, field, at)
  }

  return {
    person(id, record, { record: kind, purpose } = {}) {
      if (typeof id !== 'string' || id === '') {
        throw new TypeError('the id of a person must be a string that is not empty')
      }
      subjects ??= new Map()
      const key = JSON.stringify([id, kind, purpose])
      const subject = subjects.get(key) ?? {
        person: id,
        options: { ...(kind !== undefined && { record: kind }), ...(purpose !== undefined && { purpose }) },
      }
      subjects.set(key, subject)
      return personalView(record, (field) => count(subject, field), getters)
    },
    attach(options) {
      const log = new Log(options, requestId, newId, all)
      logs.push(log)
      return log
    },
  }
}

class Readings {
  readonly of = new Map<Subject, Fields>()

  add(subject: Subject, field: string, at: number, reads: number): void {
    let fields = this.of.get(subject)
    if (fields === undefined) this.of.set(subject, (fields = new Map()))
    const reading = fields.get(field)
    if (reading === undefined) fields.set(field, { since: at, reads })
    else reading.reads += reads
  }
}

class Log implements ReadLog {
  readonly #options: ReadLogOptions
  readonly #requestId: string
  readonly #newId: () => string
  #fresh: Readings | undefined
  #untaken = false
  #silent = false
  #late: ((events: AuditEvent[]) => void) | undefined

  constructor(options: ReadLogOptions, requestId: string, newId: () => string, before: Readings | undefined) {
    this.#options = options
    this.#requestId = requestId
    this.#newId = newId
    if (before === undefined) return
    const fresh = new Readings()
    for (const [subject, fields] of before.of) {
      for (const [field, { since, reads }] of fields) fresh.add(subject, field, since, reads)
    }
    this.#fresh = fresh
    this.#untaken = true
  }

  add(subject: Subject, field: string, at: number): void {
    if (this.#silent) return
    this.#fresh ??= new Readings()
    this.#fresh.add(subject, field, at, 1)
    if (this.#untaken) return
    this.#untaken = true
    if (this.#late !== undefined) queueMicrotask(() => this.#handOver())
  }

  take(): AuditEvent[] {
    const taken = this.#fresh
    if (taken === undefined || this.#silent) return []
    this.#untaken = false
    this.#fresh = undefined
    const { pseudonymise } = this.#options
    const who = this.#options.who()
    const events: FieldEvent[] = []
    for (const [{ person, options }, fields] of taken.of) {
      const pseudonym = pseudonymise('person', person)
      for (const [field, { since, reads }] of fields) {
        events.push({
          kind: 'field',
          version: 1,
          id: this.#newId(),
          time: new Date(since).toISOString(),
          requestId: this.#requestId,
          ...who,
          person: pseudonym,
          field,
          reads,
          ...options,
        })
      }
    }
    return events
  }

  finish(late: (events: AuditEvent[]) => void): void {
    this.#late = late
    if (this.#untaken) queueMicrotask(() => this.#handOver())
  }

  silence(): void {
    this.#silent = true
  }

  #handOver(): void {
    const events = this.take()
    if (events.length > 0) this.#late?.(events)
  }
}
