import { setTimeout as sleep } from 'node:timers/promises'
import { isPortcullisError, isUnreadable, UnavailableError } from '../errors.ts'
import { isAppId } from '../names.ts'
import type { PolicyStore } from '../store/contract.ts'
import type { App } from './contract.ts'
import type { PolicySnapshot } from './snapshot.ts'
import type { Entry, Flight } from './entry.ts'
import type { PolicyMemory } from './memory.ts'
import { SparedError, understand, type Reader, type Reading } from './reading.ts'
import type { Lists } from './shared-lists.ts'

const MAX_FLIGHTS = 10_000
/** How often an app is read again if it changes during the read. */
const MAX_READS = 5
/** The longest pause before a lagging replica is read again, in milliseconds. */
const LONGEST_LAG = 20

/** The store has lost its data, so a missing app proves nothing. The loss was reported when it was noticed. */
export class EmptiedError extends SparedError {
  constructor() {
    super('the store was emptied: restore its data, or call acceptEmpty() of the policy source')
  }
}

export interface LoadingSetting {
  readonly store: PolicyStore
  readonly reader: Reader
  readonly memory: PolicyMemory
  readonly lists: Lists
  readonly snapshot: PolicySnapshot | undefined
  readonly maxStale: number
  readonly now: () => number
  /** Whether the store has lost its data and `acceptEmpty` was not called since. */
  isEmptied(): boolean
  report(error: Error, appId: string | undefined): void
}

interface Joinable extends Flight {
  promise: Promise<App | null>
}

/** Reads apps into memory. Concurrent loads of one app share one read. */
export class Loading {
  readonly #setting: LoadingSetting
  readonly #flights = new Map<string, Joinable>()

  constructor(setting: LoadingSetting) {
    this.#setting = setting
  }

  get size(): number {
    return this.#flights.size
  }

  /** Joins the read in progress, or starts one. */
  load(appId: string): Promise<App | null> {
    const joined = this.#flights.get(appId)
    if (joined !== undefined) return joined.promise
    if (!isAppId(appId)) return Promise.resolve(null)
    if (this.#flights.size >= MAX_FLIGHTS)
      return Promise.reject(new UnavailableError('too many apps are being read at once'))
    const flight: Joinable = { outdated: false, floor: 0, promise: Promise.resolve(null) }
    // Registered before the read starts, because the store may announce a change immediately.
    this.#flights.set(appId, flight)
    flight.promise = this.#readUntilCurrent(appId, flight)
      .catch((error: unknown) => this.#withoutStore(appId, flight, error))
      .finally(() => this.#flights.delete(appId))
    return flight.promise
  }

  /** The app was written or removed, so the read in progress may return the old version. */
  changed(appId: string, revision: number): void {
    const flight = this.#flights.get(appId)
    if (flight === undefined) return
    flight.outdated = true
    flight.floor = Math.max(flight.floor, revision)
  }

  /** Every read in progress may return an old version. */
  suspectAll(): void {
    for (const flight of this.#flights.values()) flight.outdated = true
  }

  async #readUntilCurrent(appId: string, flight: Flight): Promise<App | null> {
    const { store, reader, memory, lists, now } = this.#setting
    for (let reads = 1; ; reads += 1) {
      flight.outdated = false
      const readAt = now()
      const entry = memory.entryOf(appId)
      const floor = Math.max(flight.floor, entry === undefined ? 0 : memory.floorOf(entry))
      const stored = await reader.ask(() => store.read(appId))
      const reading = stored && (await understand(appId, stored, lists.need, entry))
      if (flight.outdated && reads < MAX_READS) continue
      if (reading === undefined) return this.#settleUnknown(appId, readAt, flight)
      if (reading.app.revision < floor) {
        // A replica that lags, or a former primary that does not know it was replaced.
        if (reads === MAX_READS)
          throw new UnavailableError('the store answers with an older revision than it had')
        await sleep(Math.random() * LONGEST_LAG)
        continue
      }
      return this.#settle(appId, reading, readAt, { ...flight, floor }, entry)
    }
  }

  #settle(appId: string, reading: Reading, readAt: number, flight: Flight, entry: Entry | undefined): App {
    const { memory, report } = this.#setting
    const { revision } = reading.app
    const isLower = entry !== undefined && revision < entry.app.revision && flight.floor === 0
    if (isLower && memory.outlives(entry)) {
      report(new UnavailableError('the store has lost a revision; the newer one is used meanwhile'), appId)
      // The next announced revision is accepted even if its number is lower.
      this.#remember(appId, entry, entry.readAt, { ...flight, floor: 0 })
      return entry.app
    }
    this.#remember(appId, reading, readAt, { ...flight, floor: revision })
    if (!flight.outdated) this.#keep(appId, reading, readAt)
    return reading.app
  }

  #settleUnknown(appId: string, readAt: number, flight: Flight): null {
    const { memory, snapshot, isEmptied } = this.#setting
    if (isEmptied()) throw new EmptiedError()
    memory.rememberUnknown(appId, flight.outdated ? undefined : readAt)
    snapshot?.forget(appId)
    return null
  }

  #remember(...what: Parameters<PolicyMemory['remember']>): void {
    const { memory, report } = this.#setting
    if (!memory.remember(...what))
      report(new UnavailableError('the policy takes more than `maxBytes`'), what[0])
  }

  /** Puts the app into the snapshot, unless the snapshot already has it and will stay valid long enough. */
  #keep(appId: string, { stored }: Reading, readAt: number): void {
    const { memory, snapshot, maxStale, now } = this.#setting
    const entry = memory.entryOf(appId)
    if (snapshot === undefined || entry === undefined || readAt - entry.keptAt < maxStale / 4) return
    entry.keptAt = readAt
    snapshot.keep(appId, { app: stored, readAt: Date.now() - (now() - readAt) })
  }

  /** After a failed read: the app as this process or an earlier one last read it. Throws if it may not be used. */
  async #withoutStore(appId: string, flight: Flight, error: unknown): Promise<App> {
    const { memory, snapshot, maxStale, lists, now, report } = this.#setting
    const isOurs = isPortcullisError(error)
    const failure = isOurs ? error : new UnavailableError('the store could not be read', { cause: error })
    if (!(failure instanceof SparedError)) report(failure, appId)
    const entry = memory.entryOf(appId)
    if (entry !== undefined && memory.keepUnconfirmed(appId)) return entry.app
    if (!(failure instanceof UnavailableError))
      throw new UnavailableError('the policy is unreadable', { cause: failure })
    const hasLooked = isUnreadable(failure) || failure instanceof EmptiedError
    if (snapshot === undefined || entry !== undefined || hasLooked) throw failure
    const found = await snapshot.find(appId, maxStale)
    if (found === undefined || flight.outdated || found.readAt < memory.epochBegan) throw failure
    const reading = await understand(appId, found.app, lists.need)
    const age = Math.max(0, Date.now() - found.readAt)
    this.#remember(appId, reading, now() - age, { floor: 0, outdated: flight.outdated })
    return reading.app
  }
}
