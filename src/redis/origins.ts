import { originIndexKeys } from '../match/origin.ts'
import { isAppId } from '../names.ts'
import { MAX_APPS_PER_ENTRY } from '../store/domains.ts'
import { texts, type SendCommand } from './client.ts'
import type { Keyspace } from './keyspace.ts'

/**
 * Which apps name an origin: one sorted set for each entry of a domain list. It contains app ids, scored by the revision that
 * added the entry. It contains at least the apps that name the entry; some may no longer do so.
 */
export interface OriginIndex {
  /** Call it before revision `revision` is written. `kept` are the entries that the app already has. */
  enlarge(appId: string, revision: number, added: readonly string[], kept: readonly string[]): Promise<void>
  /** Call it after the write. */
  reduce(appId: string, revision: number, removed: readonly string[]): Promise<void>
  /** At most {@link MAX_APPS_PER_ENTRY} for each entry that could admit the origin. */
  find(this: void, origin: string): Promise<readonly string[]>
}

/**
 * KEYS: the entry. ARGV: 1 the app id, 2 the revision. A later writer may add the entry again before this script runs; then the
 * score is higher, and the entry stays. An entry added for a write that failed stays too, which is harmless.
 */
const REDUCE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) < tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end`

export function createOriginIndex(send: SendCommand, { origin: key }: Pick<Keyspace, 'origin'>): OriginIndex {
  return {
    async enlarge(appId, revision, added, kept) {
      await Promise.all([
        ...added.map((entry) => send('ZADD', key(entry), 'GT', revision, appId)),
        // Only if it is missing, in case the index was lost.
        ...kept.map((entry) => send('ZADD', key(entry), 'NX', revision, appId)),
      ])
    },
    async reduce(appId, revision, removed) {
      await Promise.all(removed.map((entry) => send('EVAL', REDUCE, 1, key(entry), appId, revision)))
    },
    async find(origin) {
      const found = await Promise.all(
        originIndexKeys(origin).map((entry) => send('ZREVRANGE', key(entry), 0, MAX_APPS_PER_ENTRY - 1)),
      )
      return [...new Set(found.flatMap(texts).filter(isAppId))]
    },
  }
}
