import { randomUUID } from 'node:crypto'
import { ConfigError, RevisionConflict, UnavailableError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, wholeNumber, type Expectation } from '../options.ts'
import { isAppId, parsePolicy, type Policy } from '../policy/index.ts'
import { parseAppKeys, type AppKey } from '../signature/keys.ts'
import type { Vault } from '../vault/vault.ts'
import type { AppDocument, ManagedPolicyStore, StoredApp } from './contract.ts'
import { checkClient, sender, texts, type RedisClient } from './redis-client.ts'
import { APPEND, createFeed } from './redis-feed.ts'
import { createOriginIndex } from './redis-origins.ts'

export const PREFIX: Expectation = {
  expected: 'a text without braces',
  accepts: (value) => typeof value === 'string' && !/[{}]/.test(value),
}

export interface RedisStoreOptions {
  /** In front of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /** Encrypts the keys of apps. Without it an app with keys can be neither written nor read. */
  readonly vault?: Vault | undefined
  /** How long a command may take, in milliseconds. Default 500. */
  readonly commandTimeout?: number | undefined
  /** Told when the change feed breaks and when its reader fails. Default: nobody. */
  readonly onError?: ((error: Error) => void) | undefined
}

export interface RedisStore extends ManagedPolicyStore {
  /** Stops the change feed. Your client stays open. */
  close(): void
}

/**
 * Replaces an app if it is at the expected revision, and announces it.
 * KEYS: the app, then the feed and its counter where they are in reach. ARGV: expected revision, app id, policy or '' to
 * remove, keys ('' none, '=' as they are), a name of this write, the last revision that was seen. Answers whether it was written, and the revision that the
 * app is at. The name is kept, for ioredis sends a command again when the connection broke before its answer came.
 * A removed app leaves its revision behind, so that none comes twice.
 */
const REPLACE = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'policy', 'write')
local last = tonumber(stored[1] or '0')
if stored[3] == ARGV[5] then return {'written', tostring(last)} end
local actual = stored[2] and last or 0
if actual ~= tonumber(ARGV[1]) or last ~= tonumber(ARGV[6]) then return {'conflict', tostring(actual)} end
local revision = tostring(last + 1)
redis.call('HSET', KEYS[1], 'revision', revision, 'write', ARGV[5])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'policy', 'keys')
  redis.call('HSET', KEYS[1], 'removed', '1')
else
  redis.call('HSET', KEYS[1], 'policy', ARGV[3])
  redis.call('HDEL', KEYS[1], 'removed')
  if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'keys')
  elseif ARGV[4] ~= '=' then redis.call('HSET', KEYS[1], 'keys', ARGV[4]) end
end
if KEYS[2] then
  ${APPEND('KEYS[2]', 'KEYS[3]', 'ARGV[2]')}
end
return {'written', revision}`

const REVISION = /^[1-9][0-9]{0,15}$/

/**
 * Policies in Redis, through your own ioredis client: single server, Sentinel or Cluster.
 *
 * One hash for each app, written by compare-and-set on its revision; the keys of apps only encrypted; a stream as change
 * feed; a set of app ids for each origin. Needs Redis 6.2 or Valkey. On a single server and with Sentinel a write and its
 * announcement are one step. On Cluster they are two: where the second fails, which `onError` is told, other processes
 * have the change within `maxStale`.
 *
 * While your client is disconnected everything rejects at once; while it connects for the first time commands wait for it
 * within `commandTimeout`. A write that rejects with `UnavailableError` may have been done all the same: read before you
 * write again.
 *
 * @throws ConfigError
 */
export function redisStore(redis: RedisClient, options: RedisStoreOptions = {}): RedisStore {
  checkClient(redis, 'redisStore')
  checkOptions('redisStore', options, {
    prefix: PREFIX,
    vault: objectWith('a vault made by createVault()', 'seal', 'open'),
    commandTimeout: wholeNumber('milliseconds', 1, 60_000),
    onError: aFunction,
  })
  const { prefix = 'portcullis:', vault, commandTimeout = 500, onError } = options
  const send = sender(redis, commandTimeout)
  const feed = createFeed(redis, { prefix, commandTimeout, onError })
  const appKey = (appId: string): string => `${prefix}app:{${appId}}`
  const origins = createOriginIndex(send, prefix)

  async function read(appId: string): Promise<StoredApp | undefined> {
    if (!isAppId(appId)) return undefined
    const reply = await send('HMGET', appKey(appId), 'policy', 'revision', 'keys', 'removed')
    const [policy, revision, keys, removed] = Array.isArray(reply) ? (reply as unknown[]) : []
    if (policy === null && keys === null && (removed === '1' || revision === null)) return undefined
    if (typeof policy !== 'string' || typeof revision !== 'string' || !REVISION.test(revision))
      throw new UnavailableError('a stored app is damaged')
    const document = parseJson(policy)
    if (appIdOf(document) !== appId) throw new UnavailableError('a stored document is of another app')
    return { policy: document, revision: Number(revision), keys: openKeys(appId, keys) }
  }

  function openKeys(appId: string, sealed: unknown): readonly AppKey[] {
    if (sealed === null) return []
    if (typeof sealed !== 'string') throw new UnavailableError('a stored app is damaged')
    if (vault === undefined)
      throw new UnavailableError('the app has keys, and the store has no vault to open them')
    return parseJson(vault.open(sealed, keysContext(appId))) as readonly AppKey[]
  }

  function sealKeys(appId: string, keys: readonly AppKey[] | undefined): string {
    if (keys === undefined) return '='
    parseAppKeys(keys)
    if (keys.length === 0) return ''
    if (vault === undefined)
      throw new ConfigError('redisStore.vault', 'given, to store the keys of an app', vault)
    return vault.seal(JSON.stringify(keys), keysContext(appId))
  }

  /** Answers with the new revision, or with `undefined` when the app came and went since `last` was read. */
  async function replace(
    { appId, replaces, policy, keys }: Replacement,
    last: number,
  ): Promise<number | undefined> {
    const atOnce = redis.isCluster !== true
    const at = [appKey(appId), ...(atOnce ? feed.keys : [])]
    const reply = texts(
      await send('EVAL', REPLACE, at.length, ...at, replaces, appId, policy, keys, randomUUID(), last),
    )
    const revision = Number(reply[1])
    if (reply[0] !== 'written') {
      if (revision === replaces) return undefined
      throw new RevisionConflict(appId, replaces, revision)
    }
    feed.changedHere(appId)
    if (!atOnce) await afterwards(feed.announce(send, appId))
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
    const reply = await send('HMGET', appKey(appId), 'policy', 'revision')
    const [policy, revision] = Array.isArray(reply) ? (reply as unknown[]) : []
    const last = Number(revision ?? 0)
    if (typeof policy !== 'string') return { last, actual: 0, domains: [] }
    return { last, actual: last, domains: domainsIn(policy) }
  }

  /** The index of origins is enlarged before a write and reduced after, so that it never lacks an app. */
  async function replaceIndexed(replacement: Replacement, domains: readonly string[]): Promise<number> {
    const { appId, replaces } = replacement
    const { last, actual, domains: before } = await current(appId)
    if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
    const [had, has] = [new Set(before), new Set(domains)]
    await origins.enlarge(
      appId,
      last + 1,
      domains.filter((domain) => !had.has(domain)),
      domains.filter((domain) => had.has(domain)),
    )
    const revision = await replace(replacement, last)
    if (revision === undefined) return replaceIndexed(replacement, domains)
    const removed = before.filter((domain) => !has.has(domain))
    await afterwards(origins.reduce(appId, revision, removed))
    return revision
  }

  return {
    read,
    watch: feed.watch,
    appsByOrigin: origins.find,
    async write(document: AppDocument, replaces) {
      const policy: Policy = parsePolicy(document.policy)
      const { appId, domainProtect } = policy
      const keys = sealKeys(appId, document.keys)
      return replaceIndexed(
        { appId, replaces, policy: JSON.stringify(policy), keys },
        domainProtect?.domains ?? [],
      )
    },
    async remove(appId, replaces) {
      if (!isAppId(appId)) throw new RevisionConflict(String(appId), replaces, 0)
      // Nothing is there and nothing was expected: nothing happens.
      if (replaces === 0 && (await current(appId)).actual === 0) return
      await replaceIndexed({ appId, replaces, policy: '', keys: '' }, [])
    },
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
}

interface Current {
  /** The last revision given, also to an app that was removed since. */
  readonly last: number
  /** The revision of the app, 0 when there is none. */
  readonly actual: number
  readonly domains: readonly string[]
}

/** The domains that a stored policy names. A damaged one names none we could know, and can be replaced like any other. */
function domainsIn(policy: string): readonly string[] {
  try {
    return parsePolicy(parseJson(policy)).domainProtect?.domains ?? []
  } catch {
    return []
  }
}

function appIdOf(document: unknown): unknown {
  return typeof document === 'object' && document !== null && 'appId' in document ? document.appId : undefined
}

function keysContext(appId: string): string {
  return `app-keys:${appId}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UnavailableError('a stored document is not JSON')
  }
}
