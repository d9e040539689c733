import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { isUnreadable, UnavailableError, isPortcullisError } from '../errors.ts'
import { isAppId } from '../names.ts'
import { createBreaker } from './breaker.ts'
import type { App, PolicySource, PolicySourceOptions, PolicySourceStatus } from './contract.ts'
import { checkSourceOptions } from './options.ts'
import type { Entry, Flight } from './entry.ts'
import { createKeyUses } from './key-uses.ts'
import { createLists } from './shared-lists.ts'
import { appsThatAdmit, createOrigins } from './origins.ts'
import { createReader, SparedError, understand, type Known, type Reading } from './reading.ts'

const MAX_UNKNOWN = 10_000
const MAX_FLIGHTS = 10_000
/** How often an app is read again that changes while it is read. */
const MAX_READS = 5
const LONGEST_LAG = 20

/**
 * Puts memory, parsing and compiling in front of a store.
 *
 * A policy is used for at most `maxStale` after it was last read; a change that the store announces is in force with
 * the next request. Concurrent reads of one app are one read, and an older revision never takes the place of a newer one
 * while that is fresh. Failures are never remembered: "could not look" and "unreadable" reject with `UnavailableError`,
 * "no such app" is `null` and remembered briefly and boundedly. A store that fails five times in a row is not asked again
 * for about a second.
 *
 * @throws ConfigError
 */
export function createPolicySource(given: PolicySourceOptions): PolicySource {
  const options = checkSourceOptions(given)
  const { store, snapshot, onError, maxStale = 60_000, revalidateAfter = 1_000, unknownFor = 5_000 } = options
  const { now = () => performance.now() } = options
  const report = (error: Error, appId: string | undefined): void => onError?.(error, appId)

  const apps = new LRUCache<string, Entry>({
    max: options.maxApps ?? 10_000,
    maxSize: options.maxBytes ?? 256 * 1024 * 1024,
    sizeCalculation: ({ weight }) => weight,
  })
  const unknown = new LRUCache<string, number>({ max: MAX_UNKNOWN })
  const flights = new Map<string, Flight & { readonly promise: Promise<App | null> }>()
  const breaker = createBreaker(now)
  const reader = createReader(breaker, options.readTimeout ?? 1_000)
  const origins = createOrigins(
    (origin) => reader.ask(() => store.appsByOrigin?.(origin) ?? Promise.resolve([])),
    unknownFor,
    now,
  )
  const lists = createLists({
    store,
    maxStale,
    now,
    ask: reader.ask,
    revalidateAfter: () => (feed === 'whole' ? maxStale / 2 : revalidateAfter),
    retryAfter: revalidateAfter,
    report: (error) => report(error, undefined),
  })
  let feed: PolicySourceStatus['feed'] = store.watch === undefined ? 'none' : 'whole'
  let feedSince = now()
  let epoch = 0
  let epochBegan = 0
  let hits = 0
  let misses = 0

  const stopWatching = store.watch?.({
    changed,
    listChanged: lists.changed,
    broken: () => become('broken'),
    restored,
  })

  function become(state: PolicySourceStatus['feed']): void {
    if (feed !== state) feedSince = now()
    feed = state
  }

  function restored(complete?: boolean): void {
    become('whole')
    // It can be reached again.
    breaker.succeeded()
    if (complete !== true) beginEpoch()
  }

  /** What was read until now may be older than it should be. */
  function beginEpoch(): void {
    epoch += 1
    epochBegan = Date.now()
    unknown.clear()
    origins.forget()
    lists.suspectAll()
    for (const flight of flights.values()) flight.outdated = true
  }

  function changed(appId: string, revision = 0): void {
    unknown.delete(appId)
    origins.forget()
    snapshot?.forget(appId)
    const entry = apps.peek(appId)
    if (entry !== undefined) {
      entry.outdated = true
      const floor = floorOf(entry)
      if (revision > floor) entry.floorAt = now()
      entry.floor = Math.max(floor, revision)
    }
    const flight = flights.get(appId)
    if (flight === undefined) return
    flight.outdated = true
    flight.floor = Math.max(flight.floor, revision)
  }

  /** After a gap in the feed the store may have lost what it once announced, so then it knows better. */
  function floorOf(entry: Entry): number {
    const holds = entry.epoch === epoch && now() - entry.floorAt <= maxStale
    return holds ? entry.floor : 0
  }

  function peek(appId: string): App | null | undefined {
    const entry = apps.get(appId)
    if (entry !== undefined) {
      const at = now()
      const age = at - entry.readAt
      if (
        age <= maxStale &&
        !entry.outdated &&
        entry.epoch === epoch &&
        (entry.lists.length === 0 || entry.lists.every((list) => list.usable(at)))
      ) {
        hits += 1
        if (age > (feed === 'whole' ? maxStale / 2 : revalidateAfter) && at >= entry.retryAt) {
          // Spread, so that not all apps are read again at once.
          entry.retryAt = at + revalidateAfter * (0.5 + Math.random())
          void load(appId).catch(() => undefined)
        }
        return entry.app
      }
    } else {
      const askedAt = unknown.get(appId)
      if (askedAt === undefined ? !isAppId(appId) : now() - askedAt < unknownFor) return null
    }
    misses += 1
    return undefined
  }

  function load(appId: string): Promise<App | null> {
    const joined = flights.get(appId)
    if (joined !== undefined) return joined.promise
    if (!isAppId(appId)) return Promise.resolve(null)
    if (flights.size >= MAX_FLIGHTS)
      return Promise.reject(new UnavailableError('too many apps are being read at once'))
    const flight: Flight = { outdated: false, floor: 0 }
    const promise = readUntilCurrent(appId, flight)
      .catch((error: unknown) => fromSnapshot(appId, flight, error))
      .finally(() => flights.delete(appId))
    flights.set(appId, Object.assign(flight, { promise }))
    return promise
  }

  async function readUntilCurrent(appId: string, flight: Flight): Promise<App | null> {
    for (let reads = 1; ; reads += 1) {
      flight.outdated = false
      const readAt = now()
      const entry = apps.peek(appId)
      const floor = Math.max(flight.floor, entry === undefined ? 0 : floorOf(entry))
      const stored = await reader.ask(() => store.read(appId))
      const reading = stored && (await understand(appId, stored, lists.need, entry))
      if (flight.outdated && reads < MAX_READS) continue
      if (reading === undefined) return settleUnknown(appId, readAt, flight)
      const { revision } = reading.app
      if (revision < floor) {
        // A replica that lags, or a server that was taken over from and does not know it.
        if (reads === MAX_READS)
          throw new UnavailableError('the store answers with an older revision than it had')
        await sleep(Math.random() * LONGEST_LAG)
        continue
      }
      if (entry !== undefined && revision < entry.app.revision && floor === 0 && outlives(entry)) {
        report(new UnavailableError('the store has lost a revision; the newer one is used meanwhile'), appId)
        // The next that the store announces counts, even if its number is lower.
        remember(appId, entry, entry.readAt, { ...flight, floor: 0 })
        return entry.app
      }
      remember(appId, reading, readAt, { ...flight, floor: revision })
      if (!flight.outdated) keep(appId, reading, readAt)
      return reading.app
    }
  }

  /** Whether the entry is fresh, though no word of it is left in the feed. */
  function outlives(entry: Entry): boolean {
    return !entry.outdated && now() - entry.readAt <= maxStale
  }

  function settleUnknown(appId: string, readAt: number, flight: Flight): null {
    apps.delete(appId)
    snapshot?.forget(appId)
    if (!flight.outdated) unknown.set(appId, readAt)
    return null
  }

  function remember(
    appId: string,
    { app, weight, digest, lists: named }: Known,
    readAt: number,
    { floor, outdated }: Pick<Flight, 'floor' | 'outdated'>,
  ): void {
    const before = apps.peek(appId)
    unknown.delete(appId)
    apps.set(appId, {
      app,
      weight,
      digest,
      lists: named,
      readAt,
      epoch,
      floor,
      floorAt: now(),
      outdated,
      retryAt: now(),
      keptAt: before?.digest === digest ? before.keptAt : Number.NEGATIVE_INFINITY,
    })
    if (!apps.has(appId)) report(new UnavailableError('the policy takes more than `maxBytes`'), appId)
  }

  /** Puts it into the snapshot, unless the same is there and will be good for long enough. */
  function keep(appId: string, { stored }: Reading, readAt: number): void {
    const entry = apps.peek(appId)
    if (snapshot === undefined || entry === undefined || readAt - entry.keptAt < maxStale / 4) return
    entry.keptAt = readAt
    snapshot.keep(appId, { app: stored, readAt: Date.now() - (now() - readAt) })
  }

  /** What was last read before this process began, if the store could not look. */
  async function fromSnapshot(appId: string, flight: Flight, error: unknown): Promise<App> {
    const known = isPortcullisError(error)
    const failure = known ? error : new UnavailableError('the store could not look', { cause: error })
    if (!(failure instanceof SparedError)) report(failure, appId)
    if (!(failure instanceof UnavailableError))
      throw new UnavailableError('the policy is unreadable', { cause: failure })
    if (snapshot === undefined || apps.has(appId) || isUnreadable(failure)) throw failure
    const found = await snapshot.find(appId, maxStale)
    if (found === undefined || flight.outdated || found.readAt < epochBegan) throw failure
    const reading = await understand(appId, found.app, lists.need)
    const age = Math.max(0, Date.now() - found.readAt)
    remember(appId, reading, now() - age, { floor: 0, outdated: flight.outdated })
    return reading.app
  }

  async function appsByOrigin(origin: string): Promise<readonly App[]> {
    let ids: readonly string[]
    try {
      ids = await origins.find(origin)
    } catch (error) {
      const failure = new UnavailableError('the store could not look for apps by origin', { cause: error })
      if (!(error instanceof SparedError)) report(failure, undefined)
      throw failure
    }
    return appsThatAdmit(origin, ids, (appId) => peek(appId) ?? load(appId))
  }

  function status(): PolicySourceStatus {
    const at = now()
    let oldest = at
    for (const { readAt } of apps.values()) oldest = Math.min(oldest, readAt)
    return {
      feed,
      feedAge: at - feedSince,
      breaker: breaker.state,
      apps: apps.size,
      bytes: apps.calculatedSize,
      unknown: unknown.size,
      lists: lists.size,
      listBytes: lists.bytes,
      oldest: at - oldest,
      reading: flights.size,
      hits,
      misses,
      reads: reader.reads,
      failures: reader.failures,
    }
  }

  return {
    peek,
    load,
    appsByOrigin,
    knowsOrigins: store.appsByOrigin !== undefined,
    noteKeyUse: createKeyUses(store, now),
    status,
    close() {
      stopWatching?.()
      apps.clear()
      beginEpoch()
    },
  }
}
