import { LRUCache } from 'lru-cache'
import { withDeadline } from './deadline.ts'
import { ConfigError, UnavailableError, isPortcullisError } from './errors.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber } from './options.ts'
import { compilePolicy, isAppId, parsePolicy, type CompiledPolicy, type Policy } from './policy/index.ts'
import { parseAppKeys, type VerifierKey } from './signature/keys.ts'
import type { PolicyStore } from './store/contract.ts'

/** An app as guards need it: its policy in compiled form and its keys. */
export interface App {
  readonly appId: string
  readonly revision: number
  readonly policy: CompiledPolicy
  readonly keys: readonly VerifierKey[]
}

export interface PolicySourceOptions {
  /** Where the documents are kept. */
  readonly store: PolicyStore
  /** How long a policy may be used after it was last read, in milliseconds. After that it is read or refused. Default 60 000. */
  readonly maxStale?: number | undefined
  /**
   * After how long a policy in use is read again in the background while no change feed vouches for it, in
   * milliseconds. Default 1000. With a whole feed it is `maxStale / 2`, for the feed announces changes.
   */
  readonly revalidateAfter?: number | undefined
  /** How long one read of the store may take, in milliseconds. Default 1000. */
  readonly readTimeout?: number | undefined
  /** How many apps are held in memory; the least recently used leave. Default 10 000. */
  readonly maxApps?: number | undefined
  /** How long an unknown app id is remembered, in milliseconds. Default 5000. At most 10 000 are. */
  readonly unknownFor?: number | undefined
  /** Told of every read that failed, with the app id; for logs and metrics. Default: nobody. */
  readonly onError?: ((error: Error, appId: string | undefined) => void) | undefined
  /** A clock in milliseconds that never goes back. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

/** App id to compiled policy. Answers from memory without a promise when it can. Made by `createPolicySource`. */
export interface PolicySource {
  /** What memory says: the app, `null` for "there is no such app", `undefined` for "must be loaded". */
  peek(appId: string): App | null | undefined
  /** Joins the read in flight or reads the store. `null`: no such app. Rejects with `UnavailableError`. */
  load(appId: string): Promise<App | null>
  /** The apps that admit this origin, as far as the store's index knows. Rejects with `UnavailableError`. */
  appsByOrigin(origin: string): Promise<readonly App[]>
  /** Whether `appsByOrigin` can be answered. */
  readonly knowsOrigins: boolean
  /** How the source is doing. */
  status(): PolicySourceStatus
  /** Stops listening to the store. Policies in memory are forgotten. */
  close(): void
}

export interface PolicySourceStatus {
  /** `whole`: changes are announced. `broken`: they may be missed. `none`: the store has no feed. */
  readonly feed: 'whole' | 'broken' | 'none'
  /** Apps in memory. */
  readonly apps: number
  readonly hits: number
  readonly misses: number
}

const MAX_UNKNOWN = 10_000
const MAX_ORIGINS = 1_000
const MAX_READS = 5

interface Entry {
  readonly app: App
  readonly readAt: number
}

interface Flight {
  /** Set when the app changed after the read began, so that its answer may be the old one. */
  outdated: boolean
}

/**
 * Puts memory, parsing and compiling in front of a store.
 *
 * A policy is used for at most `maxStale` after it was last read; a change that the store announces is in force with
 * the next request. Concurrent reads of one app are one read. Failures are never remembered: "could not look" and
 * "unreadable" reject with `UnavailableError`, "no such app" is `null` and remembered briefly and boundedly.
 *
 * @throws ConfigError
 */
export function createPolicySource(options: PolicySourceOptions): PolicySource {
  checkOptions('createPolicySource', options, {
    store: required(objectWith('a policy store: an object with a method `read`', 'read')),
    maxStale: wholeNumber('milliseconds', 0),
    revalidateAfter: wholeNumber('milliseconds', 0),
    readTimeout: wholeNumber('milliseconds', 1, 60_000),
    maxApps: wholeNumber('apps', 1),
    unknownFor: wholeNumber('milliseconds', 0, 3_600_000),
    onError: aFunction,
    now: aFunction,
  })
  const {
    store,
    maxStale = 60_000,
    revalidateAfter = 1_000,
    readTimeout = 1_000,
    unknownFor = 5_000,
  } = options
  const { now = () => performance.now(), onError } = options
  if (revalidateAfter > maxStale && options.revalidateAfter !== undefined) {
    throw new ConfigError(
      'createPolicySource.revalidateAfter',
      `at most \`maxStale\` (${maxStale})`,
      revalidateAfter,
    )
  }

  const apps = new LRUCache<string, Entry>({ max: options.maxApps ?? 10_000 })
  const unknown = new LRUCache<string, number>({ max: MAX_UNKNOWN })
  const origins = new LRUCache<string, { ids: readonly string[]; readAt: number }>({ max: MAX_ORIGINS })
  const flights = new Map<string, Flight & { readonly promise: Promise<App | null> }>()
  const originFlights = new Map<string, Promise<readonly string[]>>()
  let feed: PolicySourceStatus['feed'] = store.watch === undefined ? 'none' : 'whole'
  let generation = 0
  let hits = 0
  let misses = 0

  const stopWatching = store.watch?.({
    changed(appId) {
      apps.delete(appId)
      unknown.delete(appId)
      origins.clear()
      generation += 1
      const flight = flights.get(appId)
      if (flight !== undefined) flight.outdated = true
    },
    broken() {
      feed = 'broken'
    },
    restored() {
      feed = 'whole'
      forget()
    },
  })

  function forget(): void {
    apps.clear()
    unknown.clear()
    origins.clear()
    generation += 1
    for (const flight of flights.values()) flight.outdated = true
  }

  function peek(appId: string): App | null | undefined {
    const entry = apps.get(appId)
    if (entry !== undefined) {
      const age = now() - entry.readAt
      if (age <= maxStale) {
        hits += 1
        if (age > (feed === 'whole' ? maxStale / 2 : revalidateAfter)) void load(appId).catch(() => undefined)
        return entry.app
      }
    } else if (!isAppId(appId)) return null
    else {
      const askedAt = unknown.get(appId)
      if (askedAt !== undefined && now() - askedAt < unknownFor) return null
    }
    misses += 1
    return undefined
  }

  function load(appId: string): Promise<App | null> {
    const joined = flights.get(appId)
    if (joined !== undefined) return joined.promise
    const flight: Flight = { outdated: false }
    const promise = readUntilCurrent(appId, flight).finally(() => flights.delete(appId))
    flights.set(appId, Object.assign(flight, { promise }))
    return promise
  }

  async function readUntilCurrent(appId: string, flight: Flight): Promise<App | null> {
    try {
      for (let reads = 0; reads < MAX_READS; reads += 1) {
        flight.outdated = false
        const askedAt = now()
        const app = await readApp(appId)
        if (flight.outdated) continue
        if (app === null) {
          apps.delete(appId)
          unknown.set(appId, askedAt)
        } else {
          unknown.delete(appId)
          apps.set(appId, { app, readAt: askedAt })
        }
        return app
      }
      throw new UnavailableError('the app is being changed faster than it can be read')
    } catch (error) {
      const failure = isPortcullisError(error)
        ? error
        : new UnavailableError('the store could not look', { cause: error })
      onError?.(failure, appId)
      throw failure instanceof UnavailableError
        ? failure
        : new UnavailableError('the policy is unreadable', { cause: failure })
    }
  }

  async function readApp(appId: string): Promise<App | null> {
    const stored = await withDeadline(store.read(appId), readTimeout, 'the store')
    if (stored === undefined) return null
    const policy = parsePolicy(stored.policy)
    if (policy.appId !== appId)
      throw new UnavailableError('the store answered with another app than was asked for')
    const lists = await readLists(policy)
    return {
      appId,
      revision: stored.revision,
      policy: compilePolicy(policy, lists),
      keys: parseAppKeys(stored.keys ?? []),
    }
  }

  async function readLists(policy: Policy): Promise<ReadonlyMap<string, readonly string[]>> {
    const lists = new Map<string, readonly string[]>()
    for (const name of policy.ipWhitelist?.lists ?? []) {
      const ranges = store.readList && (await withDeadline(store.readList(name), readTimeout, 'the store'))
      if (ranges !== undefined) lists.set(name, ranges)
    }
    return lists
  }

  async function appsByOrigin(origin: string): Promise<readonly App[]> {
    const ids = await idsByOrigin(origin)
    const found = await Promise.all(ids.map((appId) => peek(appId) ?? load(appId)))
    return found.filter((app) => app !== null)
  }

  async function idsByOrigin(origin: string): Promise<readonly string[]> {
    const known = origins.get(origin)
    if (known !== undefined && now() - known.readAt < unknownFor) return known.ids
    const joined = originFlights.get(origin)
    if (joined !== undefined) return joined
    const flight = readIdsByOrigin(origin).finally(() => originFlights.delete(origin))
    originFlights.set(origin, flight)
    return flight
  }

  async function readIdsByOrigin(origin: string): Promise<readonly string[]> {
    const askedAt = now()
    const begun = generation
    try {
      const ids = (
        await withDeadline(store.appsByOrigin?.(origin) ?? Promise.resolve([]), readTimeout, 'the store')
      ).filter(isAppId)
      if (begun === generation) origins.set(origin, { ids, readAt: askedAt })
      return ids
    } catch (error) {
      const failure = new UnavailableError('the store could not look for apps by origin', { cause: error })
      onError?.(failure, undefined)
      throw failure
    }
  }

  return {
    peek,
    load,
    appsByOrigin,
    knowsOrigins: store.appsByOrigin !== undefined,
    status: () => ({ feed, apps: apps.size, hits, misses }),
    close() {
      stopWatching?.()
      forget()
    },
  }
}
