import type { ManagedPolicyStore, NonceStore } from 'portcullis'
import type { AuditSink } from 'portcullis/audit'
import { memoryAuditSink, memoryNonces, memoryStore } from 'portcullis'
import { redisAuditSink, redisNonces, redisPersonKeys, redisStore } from 'portcullis/redis'
import { createVault, memoryPeople, type PeopleStore } from 'portcullis/vault'
import { memoryCounts, redisCounts, type Counts } from './limits.ts'
import type { Log } from './log.ts'
import { connectRedis } from './redis-connection.ts'
import type { Settings } from './settings.ts'
import { memoryStorage, redisStorage, type Storage } from './storage.ts'

/** Events that the stream of the audit holds, about: the Redis that keeps nonces must not fill up. Move older ones elsewhere. */
const MOST_EVENTS = 1_000_000

export interface OpenStorage {
  readonly store: ManagedPolicyStore
  readonly storage: Storage
  /** The keys of people, by which their fields are sealed. */
  readonly personKeys: PeopleStore
  readonly nonces: NonceStore
  readonly sink: AuditSink
  readonly counts: Counts
  close(): void
}

/** Everything that is kept, in memory or in Redis. */
export async function openStorage({ redisUrl, secrets }: Settings, log: Log): Promise<OpenStorage> {
  if (redisUrl === undefined) {
    return {
      store: memoryStore(),
      storage: memoryStorage(),
      personKeys: memoryPeople(),
      nonces: memoryNonces(),
      sink: memoryAuditSink(),
      counts: memoryCounts(),
      close: () => undefined,
    }
  }
  const { redis, outage } = await connectRedis(redisUrl, log)
  // What one SECRET_KEY has sealed no other can read, so each has a part of the keys of its own.
  const prefix = `example:${secrets.fingerprint}:`
  const vault = createVault({ keys: [{ id: 'root', key: secrets.vault }] })
  const store = redisStore(redis, { prefix, vault })
  return {
    store,
    storage: redisStorage(redis, prefix, outage),
    personKeys: redisPersonKeys(redis, { prefix }),
    nonces: redisNonces(redis, { prefix }),
    sink: redisAuditSink(redis, { stream: `${prefix}audit`, maxLength: MOST_EVENTS }),
    counts: await redisCounts(redis, prefix, outage),
    close() {
      store.close()
      redis.disconnect()
    },
  }
}
