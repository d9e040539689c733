import { aFunction, checkOptions, objectWith, wholeNumber } from '../options.ts'
import type { SealedHolder } from '../vault/reseal.ts'
import type { Vault } from '../vault/vault.ts'
import { parseNote } from '../store/change-note.ts'
import type { ManagedPolicyStore } from '../store/contract.ts'
import { isUse, USES_KEPT } from '../store/key-uses.ts'
import type { ListStore } from '../store/list-contract.ts'
import {
  askCheck,
  checkHistoryPage,
  checkListPage,
  checkRemoval,
  KEPT_REVISIONS,
  parseDocument,
} from '../store/records.ts'
import { createSealing } from '../store/sealing.ts'
import { checkClient, sender, type RedisClient } from './client.ts'
import { createDocuments } from './documents.ts'
import { createFeed } from './feed.ts'
import { createKeyspace, PREFIX } from './keyspace.ts'
import { KeyClaims } from './key-claims.ts'
import { createRedisLists } from './lists.ts'
import { createOriginIndex } from './origins.ts'
import { AppReading } from './reading.ts'
import { redisSealedPlaces } from './sealed-places.ts'
import { AppWriting } from './writing.ts'

export interface RedisStoreOptions {
  /** The prefix of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /**
   * Encrypts the keys of apps, and the author and note of each change. Without it, an app with keys can be neither written nor
   * read, and authors and notes are stored in plain text.
   */
  readonly vault?: Vault | undefined
  /** How long a command may take, in milliseconds. Default 500. */
  readonly commandTimeout?: number | undefined
  /** How many revisions of each app the history keeps; the oldest are dropped. Default 100. */
  readonly keptRevisions?: number | undefined
  /**
   * Called when the change feed breaks, when its reader fails, and when a change could not be announced. Default: not reported.
   */
  readonly onError?: ((error: Error) => void) | undefined
}

export type RedisStore = ManagedPolicyStore &
  SealedHolder &
  ListStore & {
    /** Stops the change feed. Your client stays open. */
    close(): void
  }

/**
 * Policies in Redis, through your own ioredis client: single server, Sentinel or Cluster. Needs Redis 6.2 or Valkey.
 *
 * It keeps one hash for each app, written by compare-and-set on its revision; the encrypted keys of the app in a separate hash;
 * its history in a list; a stream as change feed; and a set of app ids for each origin. On a single server and with Sentinel, a
 * write and its announcement are one step. On Cluster they are two: if the announcement fails, `onError` is called, and other
 * processes get the change when they next read the app, within `maxStale`.
 *
 * While your client is disconnected, every call rejects at once. While it connects for the first time, commands wait for it
 * within `commandTimeout`. A write that rejects with `UnavailableError` may have been done nevertheless: read before you write
 * again.
 *
 * @throws ConfigError
 */
export function redisStore(redis: RedisClient, options: RedisStoreOptions = {}): RedisStore {
  checkClient(redis, 'redisStore')
  const checked = checkOptions<RedisStoreOptions>('redisStore', options, {
    prefix: PREFIX,
    vault: objectWith('a vault made by createVault()', 'seal', 'open', 'fingerprints'),
    commandTimeout: wholeNumber('milliseconds', 1, 60_000),
    keptRevisions: wholeNumber('revisions', 1),
    onError: aFunction,
  })
  const { vault, commandTimeout = 500, keptRevisions = KEPT_REVISIONS, onError } = checked
  const keyspace = createKeyspace(checked.prefix)
  const send = sender(redis, commandTimeout)
  const documents = createDocuments(createSealing(vault, 'redisStore'))
  const feed = createFeed(redis, { keyspace, commandTimeout, onError })
  const origins = createOriginIndex(send, keyspace)
  const afterwards = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      onError?.(error as Error)
    }
  }
  const setting = { send, keyspace, documents, feed, atOnce: redis.isCluster !== true, afterwards }
  const claims = new KeyClaims(send, keyspace, vault)
  const reading = new AppReading(send, keyspace, documents, feed)
  const writing = new AppWriting({
    ...setting,
    origins,
    claims,
    keptRevisions,
  })

  return {
    ...createRedisLists(setting),
    read: (appId) => reading.read(appId),
    watch: feed.watch,
    appsByOrigin: origins.find,
    async write(document, replaces, note, options) {
      const { policy, keys } = parseDocument(document)
      if (options !== undefined) await askCheck(policy, options)
      const { appId, domainProtect } = policy
      const change = { appId, replaces, policy: JSON.stringify(policy), note: parseNote(note) }
      // Throws without a vault, so it comes before the claims.
      documents.sealKeys(appId, keys)
      return writing.replace({ ...change, keys }, domainProtect?.domains ?? [])
    },
    async remove(appId, replaces, note) {
      checkRemoval(appId, replaces)
      // There is no app, and the caller expected none.
      if (replaces === 0 && (await writing.current(appId)).actual === 0) return
      await writing.replace({ appId, replaces, policy: '', keys: [], note: parseNote(note) }, [])
    },
    list: async (page) => reading.list(checkListPage(page)),
    history: async (appId, page) => reading.history(appId, checkHistoryPage(page)),
    keys: (appId) => reading.keys(appId),
    async noteKeyUse(appId, keyId, at) {
      // SET, because guards have the right to it anyway.
      if (isUse(at)) await send('SET', keyspace.used(appId, keyId), at, 'PX', USES_KEPT)
    },
    sealedPlaces: () => redisSealedPlaces({ send, keyspace, documents, claims }),
    close: feed.close,
  }
}
