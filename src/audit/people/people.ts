import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { withDeadline } from '../../deadline.ts'
import { UnavailableError } from '../../errors.ts'
import { checkOptions, objectWith, required, wholeNumber } from '../../options.ts'
import { peoplePlace } from '../../vault/people-place.ts'
import type { PeopleStore } from '../../vault/people-store.ts'
import type { SealedPlace } from '../../vault/reseal.ts'
import type { Vault } from '../../vault/vault.ts'
import type { AuditEvent } from '../event.ts'

export type { PeopleStore }

/** Gives each person in events a pseudonym derived from a secret of their own. */
export interface People {
  /** The events with the pseudonyms to store. Rejects if the secret of a person can be neither read nor created. */
  named(events: readonly AuditEvent[]): readonly AuditEvent[] | Promise<readonly AuditEvent[]>
  /** All stored pseudonyms of a person, given the pseudonym of `auditAccess`. An erased person has none. */
  pseudonymsOf(name: string): Promise<readonly string[]>
  /** The secrets of a person as stored. After an erasure they must not exist anywhere. */
  sealedOf(name: string): Promise<readonly string[]>
  /**
   * Destroys the secrets of a person, so that their events can no longer be linked to them. Resolves with the number of secrets
   * destroyed.
   */
  erase(name: string): Promise<number>
  /** Stores secrets that were created while their store was unreachable. */
  deliver(): Promise<void>
  /** How many of these secrets are waiting. */
  readonly pending: number
  /** Sets where these secrets are kept meanwhile. */
  useSpool(append: (content: Buffer) => Promise<void>): void
  /** Takes a secret from the spool of a process that has died. */
  takeOver(content: Buffer): Promise<void>
  /** The stored secrets, for `reseal`. */
  sealedPlaces(): readonly SealedPlace[]
}

export interface PeopleOptions {
  readonly store: PeopleStore
  /** Seals the secrets: `createVault(…)`. */
  readonly vault: Vault
  /** How long a secret is used before it is read again, in milliseconds. Default 300,000. */
  readonly maxAge?: number | undefined
  /** How long the store may take, in milliseconds. Default 100. */
  readonly timeout?: number | undefined
}

/** More secrets than a person can have: one, and one for each process that first met the person during an outage. */
const MOST_SECRETS = 64
const REMEMBERED = 10_000

/**
 * Gives each person a random secret. `auditLog` stores pseudonyms made with this secret. Destroying it unlinks the log from the
 * person, and the log can still be verified.
 *
 * @throws ConfigError
 */
export function people(options: PeopleOptions): People {
  return new SecretPeople(
    checkOptions<PeopleOptions>('people', options, {
      store: required(objectWith('a store of secrets, such as `redisPeople(redis)`', 'read', 'add', 'erase')),
      vault: required(objectWith('a vault made by createVault()', 'seal', 'open')),
      maxAge: wholeNumber('milliseconds', 1),
      timeout: wholeNumber('milliseconds', 1, 60_000),
    }),
  )
}

interface Secret {
  readonly name: string
  readonly sealed: string
  /** When it was made, in milliseconds since the epoch. */
  readonly made: number
}

class SecretPeople implements People {
  readonly #options: PeopleOptions
  readonly #timeout: number
  /** Pseudonyms by name. */
  readonly #known: LRUCache<string, string>
  readonly #asking = new Map<string, Promise<string>>()
  #waiting: Secret[] = []
  #erasures = 0
  #append: ((content: Buffer) => Promise<void>) | undefined

  constructor(options: PeopleOptions) {
    this.#options = options
    const { maxAge = 300_000, timeout = 100 } = options
    this.#timeout = timeout
    this.#known = new LRUCache({ max: REMEMBERED, ttl: maxAge })
  }

  get pending(): number {
    return this.#waiting.length
  }

  useSpool(append: (content: Buffer) => Promise<void>): void {
    this.#append = append
  }

  named(events: readonly AuditEvent[]): readonly AuditEvent[] | Promise<readonly AuditEvent[]> {
    const missing = new Set<string>()
    for (const event of events) {
      for (const name of namesOf(event)) if (this.#known.get(name) === undefined) missing.add(name)
    }
    if (missing.size === 0)
      return events.map((event) => renamed(event, (name) => this.#known.get(name) ?? name))
    return this.#find([...missing], events)
  }

  async #find(missing: readonly string[], events: readonly AuditEvent[]): Promise<readonly AuditEvent[]> {
    const found = new Map<string, string>()
    await Promise.all(missing.map(async (name) => found.set(name, await this.#ask(name))))
    const pseudonymOf = (name: string): string => found.get(name) ?? this.#known.get(name) ?? ''
    // Some of the known pseudonyms may have been forgotten meanwhile.
    const others = events.flatMap(namesOf).filter((name) => pseudonymOf(name) === '')
    for (const name of others) found.set(name, await this.#ask(name))
    return events.map((event) => renamed(event, pseudonymOf))
  }

  /** The pseudonym of one person. Concurrent calls share one read. */
  #ask(name: string): Promise<string> {
    const asking = this.#asking.get(name) ?? this.#readOrMake(name).finally(() => this.#asking.delete(name))
    this.#asking.set(name, asking)
    return asking
  }

  async #readOrMake(name: string): Promise<string> {
    const { store } = this.#options
    const begun = this.#erasures
    const made = this.#make(name)
    let sealed: string
    try {
      const all = await withDeadline(store.add(name, made.sealed, 1), this.#timeout, 'the store of secrets')
      sealed = all[0] ?? made.sealed
    } catch (error) {
      // During an outage a secret is created here, and kept in the spool until the store can take it.
      if (this.#append === undefined) {
        throw new UnavailableError('the secret of a person cannot be read', { cause: error })
      }
      await this.#keep(made, this.#append)
      sealed = made.sealed
    }
    const pseudonym = this.#pseudonym(name, sealed)
    if (begun === this.#erasures) this.#known.set(name, pseudonym)
    return pseudonym
  }

  #make(name: string): Secret {
    return {
      name,
      sealed: this.#options.vault.seal(randomBytes(32), contextOf(name)),
      made: Date.now(),
    }
  }

  async #keep(secret: Secret, append: (content: Buffer) => Promise<void>): Promise<void> {
    // It is waiting from now on, because the spool removes what nobody waits for.
    this.#waiting.push(secret)
    try {
      await append(Buffer.from(JSON.stringify(secret)))
    } catch (error) {
      this.#waiting = this.#waiting.filter((other) => other !== secret)
      throw error
    }
  }

  #pseudonym(name: string, sealed: string): string {
    const secret = this.#options.vault.openBytes(sealed, contextOf(name))
    return createHmac('sha256', secret)
      .update('portcullis/person/1')
      .digest()
      .subarray(0, 16)
      .toString('base64url')
  }

  async pseudonymsOf(name: string): Promise<readonly string[]> {
    return (await this.sealedOf(name)).map((sealed) => this.#pseudonym(name, sealed))
  }

  async sealedOf(name: string): Promise<readonly string[]> {
    return [...new Set([...(await this.#options.store.read(name)), ...this.#waitingOf(name)])]
  }

  #waitingOf(name: string): readonly string[] {
    return this.#waiting.filter((secret) => secret.name === name).map(({ sealed }) => sealed)
  }

  async erase(name: string): Promise<number> {
    const waiting = this.#waitingOf(name).length
    this.#waiting = this.#waiting.filter((secret) => secret.name !== name)
    // A read in progress must not put the pseudonym back into memory.
    this.#erasures += 1
    this.#known.delete(name)
    const count = await this.#options.store.erase(name)
    this.#erasures += 1
    this.#known.delete(name)
    return waiting + count
  }

  async deliver(): Promise<void> {
    for (let secret = this.#waiting[0]; secret !== undefined; secret = this.#waiting[0]) {
      await this.#add(secret)
      this.#waiting = this.#waiting.filter((other) => other !== secret)
    }
  }

  /** Stores a secret that was made earlier. The person may have been erased since. */
  async #add({ name, sealed, made }: Secret): Promise<void> {
    await withDeadline(
      this.#options.store.add(name, sealed, MOST_SECRETS, made),
      this.#timeout,
      'the store of secrets',
    )
  }

  async takeOver(content: Buffer): Promise<void> {
    const { name, sealed, made } = JSON.parse(content.toString()) as Partial<Secret>
    if (typeof name === 'string' && typeof sealed === 'string' && typeof made === 'number')
      await this.#add({ name, sealed, made })
  }

  sealedPlaces(): readonly SealedPlace[] {
    return [peoplePlace('people of the audit', this.#options.store, contextOf)]
  }
}

/** The context that a secret is sealed in: it opens for no other person. */
function contextOf(name: string): string {
  return `audit person ${name}`
}

/** Events about several people have a list of them: pseudonyms, or lists that begin with one. */
type WithPeople = AuditEvent & {
  readonly person?: unknown
  readonly persons?: unknown
}

/** The people in an event. An actor is a person too. */
function namesOf(event: AuditEvent): readonly string[] {
  const { person, persons, actor } = event as WithPeople
  const listed = Array.isArray(persons)
    ? persons.map((each: unknown) => (Array.isArray(each) ? (each[0] as unknown) : each))
    : []
  return [person, actor, ...listed].filter((each): each is string => typeof each === 'string')
}

function renamed(event: AuditEvent, nameOf: (name: string) => string): AuditEvent {
  const { person, persons, actor } = event as WithPeople
  const change: Record<string, unknown> = {}
  if (typeof person === 'string') change['person'] = nameOf(person)
  if (typeof actor === 'string') change['actor'] = nameOf(actor)
  if (Array.isArray(persons)) {
    change['persons'] = persons.map((each: unknown) => {
      if (!Array.isArray(each)) return typeof each === 'string' ? nameOf(each) : each
      const [name, ...rest] = each as unknown[]
      return [typeof name === 'string' ? nameOf(name) : name, ...rest]
    })
  }
  return Object.keys(change).length === 0 ? event : Object.assign({}, event, change)
}
