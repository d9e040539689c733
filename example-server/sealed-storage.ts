import type { Redis } from 'ioredis'
import type { SealedBatch, SealedHolder, SealedPlace } from 'portcullis/vault'
import { listedContext } from './connections.ts'
import { browserContext } from './sessions.ts'
import { SWAP } from './storage.ts'

/** How many keys Redis examines for one answer to SCAN. */
const SCANNED = 500

/** Replaces a field of a hash if it still has the old value. The hash keeps its expiry. */
const SWAP_ENTRY = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`

/** An encrypted string in the storage. `put` replaces it if it is still there. */
interface Stored {
  readonly sealed: string
  readonly context: string
  put(after: string): Promise<boolean>
}

/** Reads the encrypted strings of a key. `key` is without the prefix of the storage. */
type Look = (key: string) => Promise<readonly Stored[]>

/**
 * The encrypted data of `redisStorage`, for `npm run reseal`. Each new kind of key with encrypted data needs a row
 * here. A test searches all of Redis for data that is missing here.
 */
export function sealedInStorage(redis: Redis, prefix: string): SealedHolder {
  /** For hashes whose fields are encrypted one by one. */
  const entriesIn =
    (kind: string, contextOf: (owner: string, name: string) => string): Look =>
    async (key) =>
      Object.entries(await redis.hgetall(prefix + key)).map(([name, sealed]) => ({
        sealed,
        context: contextOf(key.slice(kind.length), name),
        put: async (after) => (await redis.eval(SWAP_ENTRY, 1, prefix + key, name, sealed, after)) === 1,
      }))
  /** For strings that are encrypted with their key as context. */
  const text: Look = async (key) => {
    const sealed = await redis.get(prefix + key)
    if (sealed === null) return []
    const put = async (after: string): Promise<boolean> =>
      (await redis.eval(SWAP, 1, prefix + key, sealed, after)) === 1
    return [{ sealed, context: key, put }]
  }
  const place = (name: string, kinds: readonly string[], look: Look): SealedPlace => ({
    name,
    async *batches() {
      for (const kind of kinds)
        for await (const keys of scan(redis, prefix, kind))
          yield batchOf((await Promise.all(keys.map(look))).flat())
    },
  })
  const places = [
    place('grants', ['grants:'], entriesIn('grants:', listedContext)),
    place(
      'browsers of sessions',
      ['sessions:'],
      entriesIn('sessions:', (_person, name) => browserContext(name)),
    ),
    place('keys of legacy apps', ['ukey1:'], text),
    place('codes and forms', ['mailed-', 'redeemed-', 'enrolment:', 'answered:'], text),
  ]
  return { sealedPlaces: () => places }
}

function batchOf(entries: readonly Stored[]): SealedBatch {
  return {
    entries,
    async replace(changes) {
      const put = await Promise.all(
        changes.map(({ entry, after }) => after !== undefined && (entry as Stored).put(after)),
      )
      return put.filter(Boolean).length
    },
  }
}

/** The keys of a kind, without the prefix. */
async function* scan(redis: Redis, prefix: string, kind: string): AsyncGenerator<readonly string[]> {
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}${kind}*`, 'COUNT', SCANNED)
    cursor = next
    if (keys.length > 0) yield keys.map((key) => key.slice(prefix.length))
  } while (cursor !== '0')
}
