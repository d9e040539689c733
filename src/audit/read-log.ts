import type {
  Action,
  ActionEvent,
  ActorKind,
  AuditEvent,
  LeakEvent,
  PersonReads,
  Pseudonymise,
} from './event.ts'

/** Whose data is read, as which record, and why. */
export interface Subject {
  readonly person: string
  readonly record: string | undefined
  readonly purpose: string | undefined
  /** Whether it came from `rows()`, whose reads are kept together. */
  readonly isRow: boolean
}

/** An event other than a read. */
export type Happening = { readonly at: number } & (
  | {
      readonly kind: 'action'
      readonly action: Action
      readonly persons: readonly string[]
      readonly details: Pick<ActionEvent, 'fields' | 'record' | 'purpose' | 'succeeded'>
    }
  | {
      readonly kind: 'leak'
      readonly person: string
      readonly field: string
      readonly record: string | undefined
    }
)

export interface ReadLogOptions {
  /** The caller, read when events are taken. */
  who(): {
    readonly appId?: string | undefined
    readonly actor?: string | undefined
    readonly actorKind?: ActorKind | undefined
  }
  readonly pseudonymise: Pseudonymise
  /** Keeps events before the end of the request. */
  keep(events: AuditEvent[]): void | Promise<void>
}

/** The reads of a request, as one audit records them. */
export interface ReadLog {
  /** The events since the last call. Another read of a field makes another event. */
  take(): AuditEvent[]
  /** From now on nobody waits for events: those of each tick are passed to `late`. */
  finish(late: (events: AuditEvent[]) => void): void
  /** Stops recording. */
  silence(): void
}

interface Reading {
  readonly since: number
  reads: number
}

type Fields = Map<string, Reading>

/** Reads by subject and field, and other events. */
export class Readings {
  readonly of = new Map<Subject, Fields>()
  readonly happenings: Happening[] = []

  add(subject: Subject, field: string, at: number, reads: number): void {
    let fields = this.of.get(subject)
    if (fields === undefined) this.of.set(subject, (fields = new Map()))
    const reading = fields.get(field)
    if (reading === undefined) fields.set(field, { since: at, reads })
    else reading.reads += reads
  }

  addAll({ of, happenings }: Readings): void {
    for (const [subject, fields] of of) {
      for (const [field, { since, reads }] of fields) this.add(subject, field, since, reads)
    }
    this.happenings.push(...happenings)
  }
}

/** How many characters of a line the parts without a fixed length may take. A line has 8192. */
const ROOM = 7_200
/** How many of these the names of fields may take. */
const ROOM_OF_FIELDS = 2_000

export class Log implements ReadLog {
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
    this.#fresh = new Readings()
    this.#fresh.addAll(before)
    this.#untaken = true
  }

  add(subject: Subject, field: string, at: number): void {
    if (this.#silent) return
    this.#fresh ??= new Readings()
    this.#fresh.add(subject, field, at, 1)
    this.#noticed()
  }

  addHappening(happening: Happening): void {
    if (this.#silent) return
    this.#fresh ??= new Readings()
    this.#fresh.happenings.push(happening)
    this.#noticed()
  }

  #noticed(): void {
    if (this.#untaken) return
    this.#untaken = true
    if (this.#late !== undefined) queueMicrotask(() => this.#handOver())
  }

  take(): AuditEvent[] {
    const taken = this.#fresh
    if (taken === undefined || this.#silent) return []
    this.#untaken = false
    this.#fresh = undefined
    const who = this.#options.who()
    const events: AuditEvent[] = []
    // Rows of one kind are listed together if they concern several persons.
    const lists = new Map<string, Map<Subject, Fields>>()
    for (const [subject, fields] of taken.of) {
      if (subject.isRow) {
        const key = JSON.stringify([subject.record, subject.purpose])
        const list = lists.get(key) ?? new Map<Subject, Fields>()
        lists.set(key, list.set(subject, fields))
      } else this.#fields(events, who, subject, fields)
    }
    for (const list of lists.values()) {
      if (list.size > 1) this.#list(events, who, list)
      else for (const [subject, fields] of list) this.#fields(events, who, subject, fields)
    }
    for (const happening of taken.happenings) this.#happening(events, who, happening)
    return events
  }

  #fields(events: AuditEvent[], who: Who, subject: Subject, fields: Fields): void {
    const person = this.#options.pseudonymise('person', subject.person)
    for (const [field, { since, reads }] of fields) {
      events.push({ kind: 'field', ...this.#base(since, who), person, field, reads, ...named(subject) })
    }
  }

  #list(events: AuditEvent[], who: Who, list: ReadonlyMap<Subject, Fields>): void {
    const names = new Set<string>()
    let since = Infinity
    for (const fields of list.values()) {
      for (const [field, reading] of fields) {
        names.add(field)
        since = Math.min(since, reading.since)
      }
    }
    const [first] = list.keys()
    for (const fields of portions([...names], lengthOfText, ROOM_OF_FIELDS)) {
      const persons: PersonReads[] = []
      for (const [{ person }, readings] of list) {
        const reads = fields.map((field) => readings.get(field)?.reads ?? 0)
        if (reads.some((count) => count > 0))
          persons.push([this.#options.pseudonymise('person', person), ...reads])
      }
      for (const some of portions(persons, lengthOfReads, roomBeside(fields, first))) {
        events.push({ kind: 'list', ...this.#base(since, who), fields, persons: some, ...named(first) })
      }
    }
  }

  #happening(events: AuditEvent[], who: Who, happening: Happening): void {
    const { pseudonymise } = this.#options
    if (happening.kind === 'leak') {
      const { at, kind, person, field, record } = happening
      const pseudonym = pseudonymise('person', person)
      const event: LeakEvent = {
        kind,
        ...this.#base(at, who),
        person: pseudonym,
        field,
        ...(record !== undefined && { record }),
      }
      events.push(event)
      return
    }
    const { at, kind, action, details } = happening
    const pseudonyms = happening.persons.map((person) => pseudonymise('person', person))
    const [first = [], ...more] = portions(details.fields ?? [], lengthOfText, ROOM_OF_FIELDS)
    for (const fields of [first, ...more]) {
      const said = details.fields === undefined ? details : { ...details, fields }
      for (const persons of portions(pseudonyms, lengthOfText, roomBeside(fields, details))) {
        events.push({ kind, ...this.#base(at, who), action, persons, ...said })
      }
    }
  }

  #base(at: number, who: Who): { version: 1; id: string; time: string; requestId: string } & Who {
    const time = new Date(at).toISOString()
    return { version: 1, id: this.#newId(), time, requestId: this.#requestId, ...who }
  }

  /** Keeps everything recorded so far. */
  flush(): void | Promise<void> {
    const events = this.take()
    return events.length === 0 ? undefined : this.#options.keep(events)
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

type Who = ReturnType<ReadLogOptions['who']>

/** The room that the names of fields, the record and the purpose leave. */
function roomBeside(
  fields: readonly string[],
  { record = '', purpose = '' }: Pick<ActionEvent, 'record' | 'purpose'> = {},
): number {
  return [...fields, record, purpose].reduce((room, text) => room - lengthOfText(text), ROOM)
}

function named(subject: Subject | undefined): { record?: string; purpose?: string } {
  const { record, purpose } = subject ?? {}
  return { ...(record !== undefined && { record }), ...(purpose !== undefined && { purpose }) }
}

/** Splits a list into consecutive parts that fit into the room; at least one item each. */
function portions<T>(list: readonly T[], lengthOf: (item: T) => number, room: number): T[][] {
  const parts: T[][] = []
  let left = 0
  for (const item of list) {
    const length = lengthOf(item)
    const part = parts.at(-1)
    if (part === undefined || length > left) {
      parts.push([item])
      left = room - length
    } else {
      part.push(item)
      left -= length
    }
  }
  return parts
}

/** The most room that a text takes in a line: a unit outside ASCII takes six characters. */
function lengthOfText(text: string): number {
  return /^[\w.*$-]*$/.test(text) ? text.length + 3 : 6 * Math.min(text.length, 256) + 3
}

function lengthOfReads([person, ...reads]: PersonReads): number {
  return reads.reduce((sum, count) => sum + String(count).length + 1, lengthOfText(person) + 2)
}
