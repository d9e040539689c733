import { createHmac } from 'node:crypto'
import type { Request, RequestHandler } from 'express'
import { ipKeyGenerator, rateLimit, type ClientRateLimitInfo, type Store } from 'express-rate-limit'
import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { RedisStore } from 'rate-limit-redis'
import type { Log, Outage } from './log.ts'
import { StorageUnavailable } from './storage.ts'

const MINUTE = 60_000

/** How often what may be done, and within which time. The time runs from the first try. */
const LIMITS = {
  /** Sign-ins, sign-ups and codes of one network address, whichever account they are for. */
  tries: { most: 100, within: 15 * MINUTE },
  /** Wrong passwords for one account from one network address, or from one browser that is known to the account. */
  passwords: { most: 10, within: 15 * MINUTE },
  /** Wrong passwords for one account from everywhere, but for browsers that are known to it. */
  passwordsOfAccount: { most: 100, within: 15 * MINUTE },
  /** Wrong codes of one sign-in. */
  codes: { most: 5, within: 15 * MINUTE },
  /** Wrong codes of the second factor of one account, but for browsers that are known to it. */
  codesOfAccount: { most: 20, within: 15 * MINUTE },
  /** Mails to one address that one network address causes. */
  mails: { most: 5, within: 60 * MINUTE },
  /** Mails to one address that everybody causes. */
  mailsToAddress: { most: 20, within: 60 * MINUTE },
  /** Connects without a signature from one network address. */
  connects: { most: 300, within: 10 * MINUTE },
  /** Connects without a signature from everywhere: a bound for the storage. */
  allConnects: { most: 20_000, within: 10 * MINUTE },
  /** Connects that one app has signed. Strangers cannot use them up. */
  signedConnects: { most: 20_000, within: 10 * MINUTE },
} as const

export type LimitName = keyof typeof LIMITS

/** What is counted for whom. */
export interface Counted {
  key(req: Request): string
  /** Answers what is over the limit, or lets it pass by `next`. `Retry-After` is set. */
  refuse: RequestHandler
  /** What turns out well does not count. */
  countsOnlyFailures?: boolean
}

export interface Limits {
  (name: LimitName, counted: Counted): RequestHandler
}

/** The counts of each limit. All instances of a process have the same. */
export type Counts = Readonly<Record<LimitName, Store>>

const NAMES = Object.keys(LIMITS) as LimitName[]

/** Counts before something is tried, so that many tries at once are many. */
export function createLimits(counts: Counts, secret: Uint8Array, log: Log): Limits {
  // Whom it is counted for is a network address or an account: kept as a keyed hash, which says nothing.
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
      // Two mounts of one limit share what they count, and each request meets one of them.
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

/** The network address of a caller: one IPv4 address, or the /56 that an IPv6 customer has. */
export const networkOf = (req: Request): string => ipKeyGenerator(req.ip ?? '')

const MOST_KEYS = 50_000

/** In the memory of this process, bounded: of too many keys the one leaves that was used the longest time ago. */
export function memoryCounts(): Counts {
  return Object.fromEntries(NAMES.map((name) => [name, memoryStore(LIMITS[name].within)])) as Counts
}

function memoryStore(within: number): Store {
  const counts = new LRUCache<string, { totalHits: number; resetTime: Date }>({ max: MOST_KEYS })
  const read = (key: string): { totalHits: number; resetTime: Date } | undefined => {
    const found = counts.get(key)
    return found === undefined || found.resetTime.getTime() <= Date.now() ? undefined : found
  }
  return {
    localKeys: true,
    get: (key) => read(key),
    increment(key): ClientRateLimitInfo {
      const resetTime = new Date(Date.now() + within)
      const found = read(key) ?? { totalHits: 0, resetTime }
      const next = { ...found, totalHits: found.totalHits + 1 }
      counts.set(key, next)
      return next
    },
    decrement(key) {
      const found = read(key)
      if (found !== undefined && found.totalHits > 0)
        counts.set(key, { ...found, totalHits: found.totalHits - 1 })
    },
    resetKey: (key) => void counts.delete(key),
  }
}

/** In Redis, by rate-limit-redis. While Redis is away nothing passes. */
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
      // It is asked once the answer has left: nobody is there who could be told.
      decrement: (key) => ask(store.decrement(key)).catch(() => undefined),
      resetKey: (key) => ask(store.resetKey(key)),
    }
    return [name, counts] as const
  })
  return Object.fromEntries(await Promise.all(made)) as Counts
}
