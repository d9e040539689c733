import { randomUUID } from 'node:crypto'
import { RevisionConflict, UnreadableError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, wholeNumber, type Expectation } from '../options.ts'
import { isAppId } from '../names.ts'
import type { Vault } from '../vault/vault.ts'
import type { ChangeNote, ListedApp, ManagedPolicyStore, StoredApp } from '../store/contract.ts'
import {
  checkHistoryPage,
  checkListPage,
  checkRemoval,
  KEPT_REVISIONS,
  parseDocument,
  parseNote,
} from '../store/records.ts'
import { isUse, listKeys, USES_KEPT } from '../store/key-uses.ts'
import type { ListStore } from '../store/list-contract.ts'
import { checkClient, sender, texts, type RedisClient } from './client.ts'
import { createDocuments, domainsIn, fields, parseStored, revisionOf } from './documents.ts'
import { createFeed } from './feed.ts'
import { createRedisLists } from './lists.ts'
import { createOriginIndex } from './origins.ts'
import { REPLACE } from './scripts.ts'

export const PREFIX: Expectation = {
  expected: 'a text without braces',
  accepts: (value) => typeof value === 'string' && !/[{}]/.test(value),
}

export interface RedisStoreOptions {
  /** In front of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /**
   * Encrypts the keys of apps, and who wrote what and why. Without it an app with keys can be neither written nor read, and
   * authors and notes are stored as they are.
   */
  readonly vault?: Vault | undefined
  /** How long a command may take, in milliseconds. Default 500. */
  readonly commandTimeout?: number | undefined
  /** How many revisions of each app the history keeps; the oldest leave. Default 100. */
  readonly keptRevisions?: number | undefined
  /** Told when the change feed breaks, when its reader fails, and when a change could not be announced. Default: nobody. */
  readonly onError?: ((error: Error) => void) | undefined
}

export type RedisStore = ManagedPolicyStore &
  ListStore & {
    /** Stops the change feed. Your client stays open. */
    close(): void
  }

/** How often a read looks again when the keys of the app are changed under its hands. */
const MAX_READS = 5

/**
 * Policies in Redis, through your own ioredis client: single server, Sentinel or Cluster.
 *
 * One hash for each app, written by compare-and-set on its revision; the keys of an app encrypted in a record of their own;
 * its history in a list; a stream as change feed; a set of app ids for each origin. Needs Redis 6.2 or Valkey. On a single
 * server and with Sentinel a write and its announcement are one step. On Cluster they are two: where the second fails,
 * which `onError` is told, other processes have the change when they next read the app, within `maxStale`.
 *
 * While your client is disconnected everything rejects at once; while it connects for the first time commands wait for it
 * within `commandTimeout`. A write that rejects with `UnavailableError` may have been done all the same: read before you
 * write again.
 *
 * @throws ConfigError
 */
export function redisStore(redis: RedisClient, options: RedisStoreOptions = {}): RedisStore {
  checkClient(redis, 'redisStore')
  const checked = checkOptions<RedisStoreOptions>('redisStore', options, {
    prefix: PREFIX,
    vault: objectWith('a vault made by createVault()', 'seal', 'open'),
    commandTimeout: wholeNumber('milliseconds', 1, 60_000),
    keptRevisions: wholeNumber('revisions', 1),
    onError: aFunction,
  })
  const { prefix = 'portcullis:', vault, commandTimeout = 500, onError } = checked
  const { keptRevisions = KEPT_REVISIONS } = checked
  const send = sender(redis, commandTimeout)
  const documents = createDocuments(vault)
  const feed = createFeed(redis, { prefix, commandTimeout, onError })
  const appKey = (appId: string): string => `${prefix}app:{${appId}}`
  const secretsKey = (appId: string): string => `${prefix}secrets:{${appId}}`
  const historyKey = (appId: string): string => `${prefix}history:{${appId}}`
  const usedKey = (appId: string, keyId: string): string => `${prefix}used:{${appId}}:${keyId}`
  const appsKey = `${prefix}apps`
  const origins = createOriginIndex(send, prefix)
  const atOnce = redis.isCluster !== true
  const lists = createRedisLists({ send, prefix, documents, feed, atOnce, afterwards })

  async function read(appId: string): Promise<StoredApp | undefined> {
    if (!isAppId(appId)) return undefined
    for (let reads = 0; reads < MAX_READS; reads += 1) {
      const [app, secrets] = await Promise.all([
        send('HMGET', appKey(appId), 'policy', 'revision', 'removed', 'secrets'),
        send('HMGET', secretsKey(appId), 'revision', 'sealed'),
      ])
      const [policy, revision, removed, secretsRevision] = fields(app)
      const [sealedAt, sealed] = fields(secrets)
      // Keys of another moment than the policy: they were replaced in between.
      if (secretsRevision !== sealedAt) continue
      if (policy === null && (removed === '1' || revision === null)) return undefined
      return { ...parseStored(appId, policy, revision), keys: documents.openKeys(appId, sealed) }
    }
    throw new UnreadableError('a stored app is damaged, or its keys are changed faster than they can be read')
  }

  /** Answers with the new revision, or with `undefined` when the app came and went since `last` was read. */
  async function replace(change: Replacement, last: number): Promise<number | undefined> {
    const { appId, replaces, policy, keys } = change
    const at = [appKey(appId), secretsKey(appId), historyKey(appId), ...(atOnce ? feed.keys : [])]
    const entry = documents.sealRevision(appId, last + 1, change)
    const values = [replaces, appId, policy, keys, randomUUID(), last, entry, keptRevisions]
    const reply = texts(await send('EVAL', REPLACE, at.length, ...at, ...values))
    const revision = Number(reply[1])
    if (reply[0] !== 'written') {
      if (revision === replaces) return undefined
      throw new RevisionConflict(appId, replaces, revision)
    }
    feed.changedHere('app', appId, revision)
    if (!atOnce) await afterwards(feed.announce(send, 'app', appId, revision))
    return revision
  }

  /** For what follows a write: the write is done, whatever becomes of this. */
  async function afterwards(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      onError?.(error as Error)
    }
  }

  async function current(appId: string): Promise<Current> {
    const [policy, revision] = fields(await send('HMGET', appKey(appId), 'policy', 'revision'))
    if (typeof revision !== 'string') {
      // Where the app was lost, its history tells which revision was the last.
      const [newest] = texts(await send('LRANGE', historyKey(appId), -1, -1))
      return { last: revisionOf(newest), actual: 0, domains: [] }
    }
    const last = Number(revision)
    if (typeof policy !== 'string') return { last, actual: 0, domains: [] }
    return { last, actual: last, domains: domainsIn(policy) }
  }

  /** The indexes of origins and of apps are enlarged before a write and reduced after, so that they never lack an app. */
  async function replaceIndexed(change: Replacement, domains: readonly string[]): Promise<number> {
    const { appId, replaces } = change
    const { last, actual, domains: before } = await current(appId)
    if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
    const [had, has] = [new Set(before), new Set(domains)]
    await Promise.all([
      origins.enlarge(
        appId,
        last + 1,
        domains.filter((domain) => !had.has(domain)),
        domains.filter((domain) => had.has(domain)),
      ),
      // Apps that were removed stay in it: they come back, and have a history.
      send('ZADD', appsKey, 0, appId),
    ])
    const revision = await replace(change, last)
    if (revision === undefined) return replaceIndexed(change, domains)
    const removed = before.filter((domain) => !has.has(domain))
    await afterwards(origins.reduce(appId, revision, removed))
    return revision
  }

  /** Those of the ids that are apps now. */
  async function existing(ids: readonly string[]): Promise<ListedApp[]> {
    const found = await Promise.all(ids.map((appId) => send('HMGET', appKey(appId), 'policy', 'revision')))
    return ids.flatMap((appId, index) => {
      const [policy, revision] = fields(found[index])
      return policy === null ? [] : [{ appId, ...parseStored(appId, policy, revision) }]
    })
  }

  return {
    read,
    watch: feed.watch,
    appsByOrigin: origins.find,
    async write(document, replaces, note) {
      const { policy, keys } = parseDocument(document)
      const { appId, domainProtect } = policy
      const change = { appId, replaces, policy: JSON.stringify(policy), note: parseNote(note) }
      return replaceIndexed(
        { ...change, keys: documents.sealKeys(appId, keys) },
        domainProtect?.domains ?? [],
      )
    },
    async remove(appId, replaces, note) {
      checkRemoval(appId, replaces)
      // Nothing is there and nothing was expected: nothing happens.
      if (replaces === 0 && (await current(appId)).actual === 0) return
      await replaceIndexed({ appId, replaces, policy: '', keys: '', note: parseNote(note) }, [])
    },
    async list(page) {
      const { after, limit } = checkListPage(page)
      const apps: ListedApp[] = []
      for (let from = after; ;) {
        const start = from === '' ? '-' : `(${from}`
        const ids = texts(await send('ZRANGEBYLEX', appsKey, start, '+', 'LIMIT', 0, limit + 1))
        apps.push(...(await existing(ids.filter(isAppId))))
        if (apps.length > limit) return { apps: apps.slice(0, limit), next: apps[limit - 1]?.appId }
        if (ids.length <= limit) return { apps, next: undefined }
        from = ids.at(-1) as string
      }
    },
    async history(appId, wanted) {
      const { before, limit } = checkHistoryPage(wanted)
      if (!isAppId(appId)) return []
      const [newest] = texts(await send('LRANGE', historyKey(appId), -1, -1))
      // No revision is left out, so that each has its place.
      const newer = Math.max(0, revisionOf(newest) - before + 1)
      const page = await send('LRANGE', historyKey(appId), -(newer + limit), -(newer + 1))
      const revisions = texts(page).map((entry) => documents.openRevision(appId, entry))
      return revisions.filter(({ revision }) => revision < before).reverse()
    },
    async keys(appId) {
      const keys = (await read(appId))?.keys
      if (keys === undefined) return undefined
      const ats = await Promise.all(keys.map(({ id }) => send('GET', usedKey(appId, id))))
      const uses = new Map(keys.map(({ id }, index) => [id, ats[index]]))
      return listKeys(keys, (keyId) => {
        const at = Number(uses.get(keyId) ?? Number.NaN)
        return isUse(at) ? at : undefined
      })
    },
    async noteKeyUse(appId, keyId, at) {
      // A command that guards have the right to anyway.
      if (isUse(at)) await send('SET', usedKey(appId, keyId), at, 'PX', USES_KEPT)
    },
    ...lists,
    close: feed.close,
  }
}

/** What the script is told. */
interface Replacement {
  readonly appId: string
  readonly replaces: number
  /** As text; empty to remove the app. */
  readonly policy: string
  /** Sealed; empty for none, `=` to leave them. */
  readonly keys: string
  readonly note: ChangeNote
}

interface Current {
  /** The last revision given, also to an app that was removed since. */
  readonly last: number
  /** The revision of the app, 0 when there is none. */
  readonly actual: number
  readonly domains: readonly string[]
}
