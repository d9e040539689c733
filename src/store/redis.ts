import { ConfigError, RevisionConflict, UnavailableError } from '../errors.ts'
import { originIndexKeys } from '../match/origin.ts'
import { aFunction, checkOptions, objectWith, wholeNumber, type Expectation } from '../options.ts'
import { isAppId, parsePolicy, type Policy } from '../policy/index.ts'
import { parseAppKeys, type AppKey } from '../signature/keys.ts'
import type { Vault } from '../vault/vault.ts'
import type { AppDocument, ManagedPolicyStore, StoredApp } from './contract.ts'
import { checkClient, sender, texts, type RedisClient } from './redis-client.ts'
import { APPEND, createFeed } from './redis-feed.ts'

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
 * remove, keys ('' none, '=' as they are). Answers whether it was written, and the revision that the app is at.
 */
const REPLACE = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'policy')
local last = tonumber(stored[1] or '0')
local actual = stored[2] and last or 0
if actual ~= tonumber(ARGV[1]) then return {'conflict', tostring(actual)} end
local revision = tostring(last + 1)
redis.call('HSET', KEYS[1], 'revision', revision)
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'policy', 'keys')
else
  redis.call('HSET', KEYS[1], 'policy', ARGV[3])
  if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'keys')
  elseif ARGV[4] ~= '=' then redis.call('HSET', KEYS[1], 'keys', ARGV[4]) end
end
if KEYS[2] then
  ${APPEND('KEYS[2]', 'KEYS[3]', 'ARGV[2]')}
end
return {'written', revision}`

const MAX_APPS_PER_ORIGIN = 64

/**
 * Policies in Redis, through your own ioredis client: single server, Sentinel or Cluster.
 *
 * One hash for each app, written by compare-and-set on its revision; the keys of apps only encrypted; a stream as change
 * feed; a set of app ids for each origin. On a single server and with Sentinel a write and its announcement are one step.
 * On Cluster they are two: a process that dies between them leaves a change that is in force within `maxStale`.
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
  const originKey = (entry: string): string => `${prefix}origin:{${entry}}`

  async function read(appId: string): Promise<StoredApp | undefined> {
    const reply = await send('HMGET', appKey(appId), 'policy', 'revision', 'keys')
    const [policy, revision, keys] = Array.isArray(reply) ? (reply as unknown[]) : []
    if (policy === null) return undefined
    if (typeof policy !== 'string' || typeof revision !== 'string')
      throw new UnavailableError('a stored app is damaged')
    return { policy: parseJson(policy), revision: Number(revision), keys: openKeys(appId, keys) }
  }

  function openKeys(appId: string, sealed: unknown): readonly AppKey[] {
    if (sealed === null || sealed === undefined) return []
    if (vault === undefined)
      throw new UnavailableError('the app has keys, and the store has no vault to open them')
    return parseJson(vault.open(String(sealed), keysContext(appId))) as readonly AppKey[]
  }

  function sealKeys(appId: string, keys: readonly AppKey[] | undefined): string {
    if (keys === undefined) return '='
    parseAppKeys(keys)
    if (keys.length === 0) return ''
    if (vault === undefined)
      throw new ConfigError('redisStore.vault', 'given, to store the keys of an app', vault)
    return vault.seal(JSON.stringify(keys), keysContext(appId))
  }

  async function replace(appId: string, replaces: number, policy: string, keys: string): Promise<number> {
    const atOnce = redis.isCluster !== true
    const at = [appKey(appId), ...(atOnce ? feed.keys : [])]
    const reply = texts(await send('EVAL', REPLACE, at.length, ...at, replaces, appId, policy, keys))
    const revision = Number(reply[1])
    if (reply[0] !== 'written') throw new RevisionConflict(appId, replaces, revision)
    feed.changedHere(appId)
    if (!atOnce) await feed.announce(send, appId)
    return revision
  }

  async function domainsOf(appId: string): Promise<readonly string[]> {
    const stored = await send('HGET', appKey(appId), 'policy')
    if (typeof stored !== 'string') return []
    return parsePolicy(parseJson(stored)).domainProtect?.domains ?? []
  }

  /**
   * The index holds an app for at least as long as its policy names the origin: it is enlarged before a write and reduced
   * after. Writers that overtake each other are put right at the end, by what is stored then.
   */
  async function replaceIndexed(
    appId: string,
    domains: readonly string[],
    write: () => Promise<number>,
  ): Promise<number> {
    const add = (entries: readonly string[]): Promise<unknown> =>
      Promise.all(entries.map((entry) => send('SADD', originKey(entry), appId)))
    const before = await domainsOf(appId)
    await add(domains)
    const revision = await write()
    const removed = before.filter((domain) => !domains.includes(domain))
    try {
      await Promise.all(removed.map((entry) => send('SREM', originKey(entry), appId)))
      await add(removed.length === 0 ? domains : await domainsOf(appId))
    } catch (error) {
      // It is written. What stays in the index too long is harmless, for the policy itself has the last word.
      onError?.(error as Error)
    }
    return revision
  }

  return {
    read,
    watch: feed.watch,
    async appsByOrigin(origin) {
      const found = await Promise.all(
        originIndexKeys(origin).map((entry) => send('SRANDMEMBER', originKey(entry), MAX_APPS_PER_ORIGIN)),
      )
      return [...new Set(found.flatMap(texts))]
    },
    async write(document: AppDocument, replaces) {
      const policy: Policy = parsePolicy(document.policy)
      const keys = sealKeys(policy.appId, document.keys)
      return replaceIndexed(policy.appId, policy.domainProtect?.domains ?? [], () =>
        replace(policy.appId, replaces, JSON.stringify(policy), keys),
      )
    },
    async remove(appId, replaces) {
      if (!isAppId(appId)) throw new RevisionConflict(String(appId), replaces, 0)
      await replaceIndexed(appId, [], () => replace(appId, replaces, '', ''))
    },
    close: feed.close,
  }
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
