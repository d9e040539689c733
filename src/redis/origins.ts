import { originIndexKeys } from '../match/origin.ts'
import { isAppId } from '../names.ts'
import { MAX_APPS_PER_ENTRY } from '../store/domains.ts'
import { texts, type SendCommand } from './client.ts'
import type { Keyspace } from './keyspace.ts'

/**
 * Which apps name an origin: one sorted set for each entry of a domain list, with the ids of apps, scored by the revision
 * that brought the entry. It always holds at least the apps that name the entry; some may no longer do so.
 */
export interface OriginIndex {
  /** Before revision `revision` is written: `kept` are the entries that the app has already. */
  enlarge(appId: string, revision: number, added: readonly string[], kept: readonly string[]): Promise<void>
  /** After it was written. */
  reduce(appId: string, revision: number, removed: readonly string[]): Promise<void>
  /** At most {@link MAX_APPS_PER_ENTRY} for each entry that could admit the origin. */
  find(this: void, origin: string): Promise<readonly string[]>
}

/**
 * KEYS: the entry. ARGV: app id, revision. A later writer may have brought the entry back before the one that dropped it
 * comes here; its score says so. What it brought and then did not write stays behind, which is harmless.
 */
const REDUCE = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) < tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end`

export function createOriginIndex(send: SendCommand, { origin: key }: Pick<Keyspace, 'origin'>): OriginIndex {
  return {
    async enlarge(appId, revision, added, kept) {
      await Promise.all([
        ...added.map((entry) => send('ZADD', key(entry), 'GT', revision, appId)),
        // Only where it is missing, should the index have been lost.
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
