import { hash } from 'node:crypto'
import { UnavailableError } from '../errors.ts'
import { checkOptions } from '../options.ts'
import { ERASURE_KEPT_FOR, isErasedSince, type PeopleStore } from '../vault/people-store.ts'
import { checkClient, sender, texts, type RedisClient } from './client.ts'
import { createKeyspace, PREFIX, type Keyspace } from './keyspace.ts'

export interface RedisPeopleOptions {
  /** The prefix of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
}

/** Adds a secret if there are fewer than the limit. KEYS: the secrets of a person. ARGV: 1 the secret, 2 the limit. */
const ADD = `
local all = redis.call('LRANGE', KEYS[1], 0, -1)
for _, secret in ipairs(all) do
  if secret == ARGV[1] then return all end
end
if #all >= tonumber(ARGV[2]) then return all end
redis.call('RPUSH', KEYS[1], ARGV[1])
all[#all + 1] = ARGV[1]
return all`

/** Replaces a secret that is still stored. KEYS: the secrets of a person. ARGV: 1 the old secret, 2 the new one. */
const REPLACE = `
for index, secret in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if secret == ARGV[1] then
    redis.call('LSET', KEYS[1], index - 1, ARGV[2])
    return 1
  end
end
return 0`

const TIMEOUT = 1_000
/** How many keys Redis checks for one reply to SCAN. */
const SCANNED = 500

/**
 * Stores the secrets of the people of the audit in Redis, sealed, in one list for each person.
 *
 * @throws ConfigError
 */
export function redisPeople(redis: RedisClient, options: RedisPeopleOptions = {}): PeopleStore {
  return createPeopleStore('redisPeople', redis, options, {
    keyOf: ({ person }) => person,
    // The name must not be found after the erasure.
    erasureOf:
      ({ personErased }) =>
      (name) =>
        personErased(hash('sha256', name, 'base64url')),
  })
}

/**
 * Stores the keys of people in Redis, sealed by the key of a region, for `createFieldVault`. They are separate from the secrets
 * of `redisPeople`, so that a person's data and their traces in the audit can be erased independently.
 *
 * @throws ConfigError
 */
export function redisPersonKeys(redis: RedisClient, options: RedisPeopleOptions = {}): PeopleStore {
  return createPeopleStore('redisPersonKeys', redis, options, { keyOf: ({ personKey }) => personKey })
}

function createPeopleStore(
  factory: string,
  redis: RedisClient,
  options: RedisPeopleOptions,
  kinds: {
    /** The key of the secrets of a person. */
    readonly keyOf: (keys: Keyspace) => (name: string) => string
    /** The key that remembers an erasure. Only secrets that are stored later need it. */
    readonly erasureOf?: (keys: Keyspace) => (name: string) => string
  },
): PeopleStore {
  checkClient(redis, factory)
  const { prefix } = checkOptions<RedisPeopleOptions>(factory, options, { prefix: PREFIX })
  const keyspace = createKeyspace(prefix)
  const keyOf = kinds.keyOf(keyspace)
  const erasureOf = kinds.erasureOf?.(keyspace)
  const send = sender(redis, TIMEOUT)
  const read = async (name: string): Promise<readonly string[]> =>
    texts(await send('LRANGE', keyOf(name), 0, -1))

  /** When a person was erased. */
  async function erasedAt(name: string): Promise<number | undefined> {
    if (erasureOf === undefined) return undefined
    const erased = await send('GET', erasureOf(name))
    return typeof erased === 'string' ? Number(erased) : undefined
  }

  return {
    read,
    async add(name, sealed, most, made) {
      const all = texts(await send('EVAL', ADD, 1, keyOf(name), sealed, most))
      // Checked only now: an erasure is remembered before it removes the secrets, so one of both notices the other.
      if (made === undefined || !isErasedSince(made, await erasedAt(name))) return all
      await send('LREM', keyOf(name), 0, sealed)
      return read(name)
    },
    replace: async (name, before, after) =>
      Number(await send('EVAL', REPLACE, 1, keyOf(name), before, after)) === 1,
    async erase(name) {
      if (erasureOf !== undefined) await send('SET', erasureOf(name), Date.now(), 'PX', ERASURE_KEPT_FOR)
      const count = Number(await send('LLEN', keyOf(name)))
      await send('DEL', keyOf(name))
      return count
    },
    async *names() {
      for (const node of nodesOf(redis)) yield* scan(node, keyOf)
    },
  }
}

/** The servers that have keys: all masters of a Cluster. */
function nodesOf(redis: RedisClient): readonly RedisClient[] {
  if (redis.isCluster !== true) return [redis]
  const { nodes } = redis as { nodes?(role: 'master'): readonly RedisClient[] }
  if (typeof nodes !== 'function')
    throw new UnavailableError('only a Cluster client of ioredis can reach all servers of a Cluster')
  return nodes.call(redis, 'master')
}

async function* scan(redis: RedisClient, keyOf: (name: string) => string): AsyncGenerator<readonly string[]> {
  const send = sender(redis, TIMEOUT)
  // SCAN does not apply the key prefix of the client.
  const { keyPrefix = '' } = (redis.options ?? {}) as { readonly keyPrefix?: unknown }
  // The prefix contains no braces, so the first `}` is part of our name.
  const [own = ''] = keyOf('').split('}')
  const [before, after] = [`${String(keyPrefix)}${own}`, '}']
  const pattern = `${before.replaceAll(/[\\?*[\]]/g, '\\$&')}*${after}`
  let cursor = '0'
  do {
    const reply = await send('SCAN', cursor, 'MATCH', pattern, 'COUNT', SCANNED)
    const [next, keys] = (Array.isArray(reply) ? reply : []) as readonly unknown[]
    if (typeof next !== 'string') throw new UnavailableError('Redis answered SCAN in an unknown format')
    cursor = next
    const names = texts(keys).map((key) => key.slice(before.length, key.length - after.length))
    if (names.length > 0) yield names
  } while (cursor !== '0')
}
