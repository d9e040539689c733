import { createHmac } from 'node:crypto'
import type { Request, RequestHandler } from 'express'
import { ipKeyGenerator, rateLimit, type ClientRateLimitInfo, type Store } from 'express-rate-limit'
import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { RedisStore } from 'rate-limit-redis'
import type { Log, Outage } from './log.ts'
import { StorageUnavailable } from './storage.ts'

const MINUTE = 60_000

/** The limit of each kind of attempt, and its window in milliseconds. The window begins with the first attempt. */
const LIMITS = {
  /** Sign-ins, sign-ups and resets from one network address, for any account. */
  tries: { most: 100, within: 15 * MINUTE },
  /** Wrong passwords for one account from one network address, or from one browser known to the account. */
  passwords: { most: 10, within: 15 * MINUTE },
  /** Wrong passwords for one account from all addresses together, except from browsers known to it. */
  passwordsOfAccount: { most: 100, within: 15 * MINUTE },
  /** Wrong codes in one session. */
  codes: { most: 5, within: 15 * MINUTE },
  /** Wrong codes of the second factor of one account, except from browsers known to it. */
  codesOfAccount: { most: 20, within: 15 * MINUTE },
  /** Emails to one address, caused by one network address. */
  mails: { most: 5, within: 60 * MINUTE },
  /** Emails to one address, caused by all network addresses together. */
  mailsToAddress: { most: 20, within: 60 * MINUTE },
  /** Unsigned connect requests from one network address. */
  connects: { most: 300, within: 10 * MINUTE },
  /** Unsigned connect requests from all network addresses together. This bounds the storage. */
  allConnects: { most: 20_000, within: 10 * MINUTE },
  /** Connect requests signed by one app. They have a limit of their own, which strangers cannot use up. */
  signedConnects: { most: 20_000, within: 10 * MINUTE },
} as const

export type LimitName = keyof typeof LIMITS

/** How one limit counts requests. */
export interface Counted {
  key(req: Request): string
  /** Answers a request over the limit, or lets it pass with `next`. `Retry-After` is already set. */
  refuse: RequestHandler
  /** Whether requests answered with a status below 400 are not counted. */
  countsOnlyFailures?: boolean
}

export interface Limits {
  (name: LimitName, counted: Counted): RequestHandler
}

/** The counters of each limit, shared by all instances of a process. */
export type Counts = Readonly<Record<LimitName, Store>>

const NAMES = Object.keys(LIMITS) as LimitName[]

/** Creates the limits. They count before the attempt, so attempts made at the same time all count. */
export function createLimits(counts: Counts, secret: Uint8Array, log: Log): Limits {
  // The key contains a network address or an account, so only a keyed hash of it is stored.
  const hidden = (text: string): string => createHmac('sha256', secret).update(text).digest('base64url')
  return (name, { key, refuse, countsOnlyFailures = false }) => {
    const { most, within } = LIMITS[name]
    return rateLimit({
      windowMs: within,
      limit: most,
      keyGenerator: (req) => hidden(key(req)),
      store: counts[name],
      skipSuccessfulRequests: countsOnlyFailures,
      legacyHeaders: false,
      // Two mounts of a limit share a counter, which the library would report as a mistake. Each request passes only
      // one of them.
      validate: false,
      handler(req, res, next) {
        const { resetTime } = (req as { rateLimit?: { resetTime?: Date } }).rateLimit ?? {}
        const wait = (resetTime?.getTime() ?? Date.now() + within) - Date.now()
        res.set('Retry-After', String(Math.max(1, Math.ceil(wait / 1000))))
        log.seldom('refused', { code: 'LIMIT_REACHED', limit: name })
        return refuse(req, res, next)
      },
    })
  }
}

/** The network address of a caller: the IPv4 address, or the /56 prefix that an IPv6 customer gets. */
export const networkOf = (req: Request): string => ipKeyGenerator(req.ip ?? '')

const MOST_KEYS = 50_000

/** Counters in the memory of this process. If there are too many keys, the least recently used one is dropped. */
export function memoryCounts(): Counts {
  return Object.fromEntries(NAMES.map((name) => [name, memoryStore(LIMITS[name].within)])) as Counts
}

interface Count {
  readonly totalHits: number
  readonly resetTime: Date
}

function memoryStore(within: number): Store {
  let counts: LRUCache<string, Count> | undefined
  const read = (key: string): Count | undefined => {
    const found = counts?.get(key)
    return found === undefined || found.resetTime.getTime() <= Date.now() ? undefined : found
  }
  return {
    localKeys: true,
    get: (key) => read(key),
    increment(key): ClientRateLimitInfo {
      const resetTime = new Date(Date.now() + within)
      const found = read(key) ?? { totalHits: 0, resetTime }
      const next = { ...found, totalHits: found.totalHits + 1 }
      // Created on first use, because the cache allocates all its slots at once, which takes several milliseconds.
      counts ??= new LRUCache({ max: MOST_KEYS })
      counts.set(key, next)
      return next
    },
    decrement(key) {
      const found = read(key)
      if (found !== undefined && found.totalHits > 0)
        counts?.set(key, { ...found, totalHits: found.totalHits - 1 })
    },
    resetKey: (key) => void counts?.delete(key),
  }
}

/** Counters in Redis, by rate-limit-redis. While Redis is unreachable, limited requests get 503. */
export async function redisCounts(redis: Redis, prefix: string, outage: Outage): Promise<Counts> {
  const ask = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      outage.away(error)
      throw new StorageUnavailable('Redis could not be reached (limits)', { cause: error })
    }
  }
  const made = NAMES.map(async (name) => {
    const store = new RedisStore({
      prefix: `${prefix}limit:${name}:`,
      sendCommand: (command, ...args) => redis.call(command, ...args) as Promise<number>,
    })
    store.windowMs = LIMITS[name].within
    await Promise.all([store.incrementScriptSha, store.getScriptSha])
    const counts: Store = {
      prefix: store.prefix,
      get: (key) => ask(store.get(key)),
      increment: (key) => ask(store.increment(key)),
      // It is called after the answer was sent, so nobody can receive the error.
      decrement: (key) => ask(store.decrement(key)).catch(() => undefined),
      resetKey: (key) => ask(store.resetKey(key)),
    }
    return [name, counts] as const
  })
  return Object.fromEntries(await Promise.all(made)) as Counts
}
