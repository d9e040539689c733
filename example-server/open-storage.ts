import type { ManagedPolicyStore, NonceStore } from 'portcullis'
import type { AuditSink, FindRecentEvents } from 'portcullis/audit'
import type { Redis } from 'ioredis'
import { memoryAuditSink, memoryNonces, memoryStore } from 'portcullis'
import { redisAuditSink, redisNonces, redisPersonKeys, redisRecentEvents, redisStore } from 'portcullis/redis'
import { memoryPeople, type SealedHolder } from 'portcullis/vault'
import { regionalHomes, sharedHomes, type Homes } from './homes.ts'
import { memoryCounts, redisCounts, type Counts } from './limits.ts'
import type { Log } from './log.ts'
import { connectRedis } from './redis-connection.ts'
import { sealedInStorage } from './sealed-storage.ts'
import { vaultOf } from './secrets.ts'
import type { Settings } from './settings.ts'
import { memoryStorage, redisStorage, type Storage } from './storage.ts'

/**
 * The approximate maximum length of the audit stream, so it cannot fill the Redis that stores nonces. Export older
 * events.
 */
const MOST_EVENTS = 200_000

export interface OpenStorage {
  readonly store: ManagedPolicyStore
  readonly storage: Storage
  /** The storage of people. */
  readonly homes: Homes
  readonly nonces: NonceStore
  readonly sink: AuditSink
  readonly counts: Counts
  /** The encrypted data other than people, for `npm run reseal`. Empty if data is in memory. */
  readonly sealed: readonly SealedHolder[]
  /** Finds recent events, for the console. */
  readonly recentEvents: FindRecentEvents
  /** Whether the storage has data of another `SECRET_KEY`, and none of this one. */
  readonly othersOnly: boolean
  close(): void
}

/** Finds the newest events of a sink in memory. */
function recentIn(sink: ReturnType<typeof memoryAuditSink>): FindRecentEvents {
  return async ({ appId, requestId, since = '', limit }) => {
    const events = sink
      .events()
      .toReversed()
      .filter(
        (event) =>
          (appId === undefined || event.appId === appId) &&
          (requestId === undefined || event.requestId === requestId) &&
          event.time >= since,
      )
    return { events: events.slice(0, limit), isComplete: events.length <= limit }
  }
}

/** At most this many steps of a thousand keys each are searched at the start. */
const MOST_STEPS = 20

/** Whether Redis has data under the prefixes of other keys, and none under this one. False if that is not certain. */
async function hasOthersOnly(redis: Redis, prefix: string): Promise<boolean> {
  let cursor = '0'
  let others = false
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', 'example:*', 'COUNT', 1_000)
    if (keys.some((key) => key.startsWith(prefix))) return false
    others ||= keys.some((key) => /^example:[0-9a-f]{12}:/.test(key))
    if (next === '0') return others
    cursor = next
  }
  return false
}

/** Opens all storage of the server, in memory or in Redis. */
export async function openStorage(
  { redisUrl, regionRedisUrls, secrets }: Settings,
  log: Log,
): Promise<OpenStorage> {
  // Data encrypted under one SECRET_KEY is unreadable under another, so each SECRET_KEY has its own prefix.
  const prefix = `example:${secrets.fingerprint}:`
  const isRegional = Object.keys(regionRedisUrls).length > 0
  const regional = isRegional ? await regionalHomes(regionRedisUrls, prefix, log) : undefined

  if (redisUrl === undefined) {
    const sink = memoryAuditSink()
    const storage = memoryStorage()
    return {
      recentEvents: recentIn(sink),
      store: memoryStore(),
      storage,
      homes: regional ?? sharedHomes(storage, memoryPeople()),
      nonces: memoryNonces(),
      sink,
      counts: memoryCounts(),
      sealed: [],
      othersOnly: false,
      close: () => regional?.close(),
    }
  }
  const { redis, outage } = await connectRedis(redisUrl, log).catch((error: unknown) => {
    regional?.close()
    throw error
  })
  const othersOnly = await hasOthersOnly(redis, prefix).catch(() => false)
  const storage = redisStorage(redis, prefix, outage)
  const store = redisStore(redis, { prefix, vault: vaultOf(secrets) })
  const stream = `${prefix}audit`
  return {
    recentEvents: redisRecentEvents(redis, { stream }),
    store,
    storage,
    homes: regional ?? sharedHomes(storage, redisPersonKeys(redis, { prefix })),
    nonces: redisNonces(redis, { prefix }),
    sink: redisAuditSink(redis, { stream, maxLength: MOST_EVENTS }),
    counts: await redisCounts(redis, prefix, outage),
    sealed: [store, sealedInStorage(redis, prefix)],
    othersOnly,
    close() {
      store.close()
      regional?.close()
      redis.disconnect()
    },
  }
}
