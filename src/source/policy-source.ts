import { UnavailableError } from '../errors.ts'
import type { StoreListener } from '../store/contract.ts'
import { createBreaker } from './breaker.ts'
import type { App, PolicySource, PolicySourceOptions, PolicySourceStatus } from './contract.ts'
import type { Entry } from './entry.ts'
import { createKeyUses } from './key-uses.ts'
import { EmptiedError, Loading } from './loading.ts'
import { PolicyMemory } from './memory.ts'
import { checkSourceOptions } from './options.ts'
import { appsThatAdmit, createOrigins, type Origins } from './origins.ts'
import { createReader, SparedError, type Reader } from './reading.ts'
import { createLists, type Lists } from './shared-lists.ts'

/**
 * Adds a cache, parsing and compiling to a store.
 *
 * A policy is used for at most `maxStale` after it was last read. A change that the store announces is in force with the next
 * request: the old policy is no longer used, even if the store cannot be read. Concurrent reads of one app share one read, and an
 * older revision never replaces a newer one that is still fresh. Failures are never remembered: a store that could not be read
 * and unreadable data reject with `UnavailableError`. "No such app" is `null`, and is remembered for a short time for a limited
 * number of ids. A store that fails five times in a row is not read again for about a second.
 *
 * If a store has lost its data, a missing app is not treated as unknown: see `acceptEmpty`.
 *
 * @throws ConfigError
 */
export function createPolicySource(options: PolicySourceOptions): PolicySource {
  return new Source(checkSourceOptions(options)).facade()
}

class Source {
  readonly #options: PolicySourceOptions
  readonly #now: () => number
  readonly #maxStale: number
  readonly #revalidateAfter: number
  readonly #breaker
  readonly #reader: Reader
  readonly #memory: PolicyMemory
  readonly #lists: Lists
  readonly #origins: Origins
  readonly #loading: Loading
  readonly #stopWatching: (() => void) | undefined
  #feed: PolicySourceStatus['feed']
  #feedSince: number
  #emptied = false
  #hits = 0
  #misses = 0

  constructor(options: PolicySourceOptions) {
    const { store, snapshot, maxStale = 60_000, revalidateAfter = 1_000, unknownFor = 5_000 } = options
    const { maxApps = 10_000, maxBytes = 256 * 1024 * 1024, now = () => performance.now() } = options
    this.#options = options
    this.#now = now
    this.#maxStale = maxStale
    this.#revalidateAfter = revalidateAfter
    this.#breaker = createBreaker(now)
    const reader = (this.#reader = createReader(this.#breaker, options.readTimeout ?? 1_000))
    const isEmptied = (): boolean => this.#emptied
    const memory = (this.#memory = new PolicyMemory({ maxApps, maxBytes, maxStale, unknownFor, now }))
    const lists = (this.#lists = createLists({
      store,
      maxStale,
      now,
      isEmptied,
      ask: reader.ask,
      revalidateAfter: () => (this.#feed === 'whole' ? maxStale / 2 : revalidateAfter),
      retryAfter: revalidateAfter,
      report: (error) => this.#report(error, undefined),
    }))
    this.#origins = createOrigins(
      (origin) => reader.ask(() => store.appsByOrigin?.(origin) ?? Promise.resolve([])),
      unknownFor,
      now,
    )
    const report = (error: Error, appId: string | undefined): void => this.#report(error, appId)
    this.#loading = new Loading({ store, reader, memory, lists, snapshot, maxStale, now, isEmptied, report })
    this.#feed = store.watch === undefined ? 'none' : 'whole'
    this.#feedSince = now()
    this.#stopWatching = store.watch?.(this.#listener())
  }

  facade(): PolicySource {
    const { store } = this.#options
    return {
      peek: (appId) => this.#peek(appId),
      load: (appId) => this.#loading.load(appId),
      appsByOrigin: (origin) => this.#appsByOrigin(origin),
      knowsOrigins: store.appsByOrigin !== undefined,
      noteKeyUse: createKeyUses(store, this.#now),
      acceptEmpty: () => {
        this.#emptied = false
        this.#suspectAll()
      },
      status: () => this.#status(),
      close: () => {
        this.#stopWatching?.()
        this.#memory.clear()
        this.#suspectAll()
      },
    }
  }

  #listener(): StoreListener {
    return {
      changed: (appId, revision = 0) => {
        this.#memory.changed(appId, revision)
        this.#origins.forget()
        this.#options.snapshot?.forget(appId)
        this.#loading.changed(appId, revision)
      },
      listChanged: this.#lists.changed,
      broken: () => this.#become('broken'),
      restored: (complete) => {
        this.#become('whole')
        // The store can be reached again.
        this.#breaker.succeeded()
        if (complete !== true) this.#suspectAll()
      },
      emptied: () => {
        if (!this.#emptied) this.#report(new EmptiedError(), undefined)
        this.#emptied = true
        this.#suspectAll()
      },
    }
  }

  #become(state: PolicySourceStatus['feed']): void {
    if (this.#feed !== state) this.#feedSince = this.#now()
    this.#feed = state
  }

  /** Everything read so far may be out of date. */
  #suspectAll(): void {
    this.#memory.beginEpoch()
    this.#origins.forget()
    this.#lists.suspectAll()
    this.#loading.suspectAll()
  }

  #report(error: Error, appId: string | undefined): void {
    this.#options.onError?.(error, appId)
  }

  #peek(appId: string): App | null | undefined {
    const at = this.#now()
    const entry = this.#memory.find(appId, at)
    if (entry === null) return null
    if (entry === undefined) {
      this.#misses += 1
      return undefined
    }
    this.#hits += 1
    this.#revalidate(entry, at)
    return entry.app
  }

  /** Reads an app again in the background, well before `maxStale` ends. */
  #revalidate(entry: Entry, at: number): void {
    const vouched = this.#feed === 'whole' && !entry.unconfirmed
    const due = vouched ? this.#maxStale / 2 : this.#revalidateAfter
    if (at - entry.readAt <= due || at < entry.retryAt) return
    // Random, so that not all apps are read again at once.
    entry.retryAt = at + this.#revalidateAfter * (0.5 + Math.random())
    void this.#loading.load(entry.app.appId).catch(() => undefined)
  }

  async #appsByOrigin(origin: string): Promise<readonly App[]> {
    const ids = new Set(await this.#idsByOrigin(origin))
    // The index of the store may be lost together with its apps.
    if (this.#emptied) for (const appId of this.#memory.admitting(origin)) ids.add(appId)
    const apps = await appsThatAdmit(
      origin,
      [...ids],
      (appId) => this.#peek(appId) ?? this.#loading.load(appId),
    )
    if (this.#emptied && apps.length === 0) throw new EmptiedError()
    return apps
  }

  async #idsByOrigin(origin: string): Promise<readonly string[]> {
    try {
      return await this.#origins.find(origin)
    } catch (error) {
      const failure = new UnavailableError('the store could not look up apps by origin', { cause: error })
      if (!(error instanceof SparedError)) this.#report(failure, undefined)
      throw failure
    }
  }

  #status(): PolicySourceStatus {
    const { size: apps, bytes, unknown, oldest } = this.#memory
    return {
      feed: this.#feed,
      feedAge: this.#now() - this.#feedSince,
      emptied: this.#emptied,
      breaker: this.#breaker.state,
      apps,
      bytes,
      unknown,
      lists: this.#lists.size,
      listBytes: this.#lists.bytes,
      oldest,
      reading: this.#loading.size,
      hits: this.#hits,
      misses: this.#misses,
      reads: this.#reader.reads,
      failures: this.#reader.failures,
    }
  }
}
