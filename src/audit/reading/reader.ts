import type { KeyObject } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '../../errors.ts'
import { parseInstant, INSTANT_RULE } from '../../instant.ts'
import {
  aFunction,
  checkOptions,
  objectWith,
  required,
  wholeNumber,
  type Expectation,
} from '../../options.ts'
import { createPseudonyms, type AuditEvent, type Pseudonymise } from '../event.ts'
import { parseEvent } from '../line.ts'
import { linesOf } from '../log/frame.ts'
import type { FrameStore, StoredFrame } from '../log/frame-store.ts'
import type { People } from '../people/people.ts'
import { isBehind } from '../proof/verify.ts'
import { archivedFrames } from '../retention/archive.ts'
import type { AuditSink } from '../sink.ts'
import { ownEvent } from './own-event.ts'
import { fits, type AuditQuery } from './query.ts'
import { subjectReport, type SubjectReport } from './subject-report.ts'

export interface AuditReaderOptions {
  readonly store: FrameStore
  /** Records every query. If a query cannot be recorded, its result is not shown. */
  readonly sink: AuditSink
  /** The key with which `auditAccess` makes pseudonyms. Needed to find a person. */
  readonly pseudonymKey?: Uint8Array | KeyObject | undefined
  /** The `people` of the `auditLog`. */
  readonly people?: People | undefined
  /** The directory of older frames that `retainLog` has moved. */
  readonly archive?: string | undefined
  /** The person who is querying. Only a pseudonym is recorded. */
  readonly actor?: string | undefined
  /** How often `tail` looks for new events, in milliseconds. Default 250. */
  readonly pollInterval?: number | undefined
  readonly now?: (() => number) | undefined
}

/** An event with its place in the log. */
export interface FoundEvent {
  /** The place of its frame, and the position of the event in it. */
  readonly place: string
  readonly event: AuditEvent
}

export interface AuditPage {
  readonly events: readonly FoundEvent[]
  /** Pass it as `after` for the next page; missing at the end. */
  readonly next?: string | undefined
}

export interface AuditPageOptions {
  /** Continues after an earlier page: pass its `next`. */
  readonly after?: string | undefined
  /** How many events at most. Default 100. */
  readonly limit?: number | undefined
  readonly purpose?: string | undefined
  /** The operation under which the query is recorded. Default `audit query`. */
  readonly recordAs?: string | undefined
}

/** Reads an audit log. Every query is recorded as an event before its result is shown. */
export interface AuditReader {
  /** The matching events, oldest first. */
  query(query: AuditQuery, page?: AuditPageOptions): Promise<AuditPage>
  /** The matching events as they arrive, until the signal is aborted. */
  tail(
    query?: AuditQuery,
    options?: { signal?: AbortSignal | undefined; purpose?: string | undefined },
  ): AsyncGenerator<FoundEvent>
  /** The report of all accesses to the data of a person: which fields were read, when, by which app and why. */
  subject(
    person: string,
    options?: { purpose?: string | undefined; revealActors?: boolean | undefined },
  ): Promise<SubjectReport>
}

const PAGE = 64

const A_STRING: Expectation = {
  expected: 'a non-empty string',
  accepts: (value) => typeof value === 'string' && value !== '',
}

/** @throws ConfigError */
export function createAuditReader(options: AuditReaderOptions): AuditReader {
  return new LogReader(
    checkOptions<AuditReaderOptions>('createAuditReader', options, {
      store: required(objectWith('a frame store, such as `redisFrames(redis)`', 'read', 'readPerson')),
      sink: required(objectWith('an audit sink: an object with a method `write`', 'write')),
      pseudonymKey: {
        expected: 'at least 32 bytes',
        secret: true,
        accepts: (value) => typeof value === 'object',
      },
      people: objectWith('the result of `people(…)`', 'pseudonymsOf'),
      archive: A_STRING,
      actor: A_STRING,
      pollInterval: wholeNumber('milliseconds', 1),
      now: aFunction,
    }),
  )
}

class LogReader implements AuditReader {
  readonly #options: AuditReaderOptions
  readonly #pseudonymise: Pseudonymise | undefined

  constructor(options: AuditReaderOptions) {
    this.#options = options
    const { pseudonymKey } = options
    this.#pseudonymise = pseudonymKey === undefined ? undefined : createPseudonyms(pseudonymKey)
  }

  async query(
    query: AuditQuery,
    { after = '', limit = 100, purpose, recordAs = 'audit query' }: AuditPageOptions = {},
  ): Promise<AuditPage> {
    checkTimes(query)
    const pseudonyms = await this.#pseudonymsOf(query.person)
    await this.#record(recordAs, query.person, purpose, pseudonyms)
    const [place = '', skip = '0'] = after.split('~')
    const found: FoundEvent[] = []
    let last = place
    for await (const frame of this.#frames(place === '' ? undefined : place, pseudonyms)) {
      const from = last === place ? Number(skip) : 0
      const events = eventsOf(frame)
      for (let index = from; index < events.length; index += 1) {
        const event = events[index]
        if (event === undefined || !fits(event, query, pseudonyms)) continue
        if (found.length === limit) return { events: found, next: `${last}~${index}` }
        found.push({ place: `${frame.place}/${index}`, event })
      }
      last = frame.place
    }
    return { events: found }
  }

  async *tail(
    query: AuditQuery = {},
    { signal, purpose }: { signal?: AbortSignal | undefined; purpose?: string | undefined } = {},
  ): AsyncGenerator<FoundEvent> {
    checkTimes(query)
    const { store, pollInterval = 250 } = this.#options
    const pseudonyms = await this.#pseudonymsOf(query.person)
    let after = await store.last()
    await this.#record('audit tail', query.person, purpose, pseudonyms)
    while (signal?.aborted !== true) {
      const page = await store.read(after, PAGE)
      for (const frame of page) {
        for (const [index, event] of eventsOf(frame).entries()) {
          if (event !== undefined && fits(event, query, pseudonyms))
            yield { place: `${frame.place}/${index}`, event }
        }
      }
      after = page.at(-1)?.place ?? after
      if (page.length < PAGE) await sleep(pollInterval, undefined, { signal }).catch(() => undefined)
    }
  }

  async subject(
    person: string,
    {
      purpose,
      revealActors = false,
    }: { purpose?: string | undefined; revealActors?: boolean | undefined } = {},
  ): Promise<SubjectReport> {
    const pseudonyms = await this.#pseudonymsOf(person)
    await this.#record(
      revealActors ? 'audit subject with actors' : 'audit subject',
      person,
      purpose,
      pseudonyms,
    )
    const frames = this.#frames(undefined, pseudonyms)
    return subjectReport(frames, pseudonyms ?? new Set(), { revealActors, now: this.#now() })
  }

  #now(): string {
    return new Date((this.#options.now ?? Date.now)()).toISOString()
  }

  /** The frames of the archive and the store after a place. For a person, the store finds them by its index. */
  async *#frames(
    after: string | undefined,
    pseudonyms: ReadonlySet<string> | undefined,
  ): AsyncGenerator<StoredFrame> {
    const { store, archive } = this.#options
    const start = await store.start()
    let place = after
    if (
      archive !== undefined &&
      start !== undefined &&
      (after === undefined || isBehind(start.place, after))
    ) {
      for await (const frame of archivedFrames(archive)) {
        if (after === undefined || isBehind(frame.place, after)) yield frame
      }
      place = start.place
    }
    for (;;) {
      const page = await this.#page(place, pseudonyms)
      yield* page
      place = page.at(-1)?.place ?? place
      if (page.length < PAGE) return
    }
  }

  async #page(
    after: string | undefined,
    pseudonyms: ReadonlySet<string> | undefined,
  ): Promise<readonly StoredFrame[]> {
    const { store } = this.#options
    if (pseudonyms === undefined) return store.read(after, PAGE)
    const pages = await Promise.all([...pseudonyms].map((each) => store.readPerson(each, after, PAGE)))
    const byPlace = new Map(pages.flat().map((frame) => [frame.place, frame]))
    const sorted = [...byPlace.values()].sort((one, other) => (isBehind(one.place, other.place) ? 1 : -1))
    return sorted.slice(0, PAGE)
  }

  async #pseudonymsOf(person: string | undefined): Promise<ReadonlySet<string> | undefined> {
    if (person === undefined) return undefined
    const name = this.#name(person)
    const { people } = this.#options
    return new Set(people === undefined ? [name] : await people.pseudonymsOf(name))
  }

  #name(person: string): string {
    if (this.#pseudonymise !== undefined) return this.#pseudonymise('person', person)
    throw new ConfigError(
      'createAuditReader.pseudonymKey',
      'the key of `auditAccess`, to find a person',
      undefined,
    )
  }

  /** Throws if the query cannot be recorded, so that its result is not shown. */
  async #record(
    operation: string,
    person: string | undefined,
    purpose: string | undefined,
    pseudonyms: ReadonlySet<string> | undefined,
  ): Promise<void> {
    const { sink, actor } = this.#options
    // A query for an unknown or erased person must not create a pseudonym for them.
    const isKnown = person !== undefined && (pseudonyms?.size ?? 0) > 0
    await sink.write([
      ownEvent({
        operation,
        time: this.#now(),
        actor: actor === undefined ? undefined : this.#pseudonymise?.('actor', actor),
        person: isKnown ? this.#name(person) : undefined,
        purpose,
      }),
    ])
  }
}

/** The events of a frame. A line that is not an event gives `undefined`, so that positions stay correct. */
export function eventsOf({ bytes }: StoredFrame): readonly (AuditEvent | undefined)[] {
  try {
    return linesOf(bytes).map(parseEvent)
  } catch {
    // A verification reports it.
    return []
  }
}

function checkTimes({ from, to }: AuditQuery): void {
  for (const [name, time] of [
    ['from', from],
    ['to', to],
  ] as const) {
    if (time !== undefined && parseInstant(time) === undefined) {
      throw new ConfigError(`query.${name}`, INSTANT_RULE.replace(/^must be /, ''), time)
    }
  }
}
