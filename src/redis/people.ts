import type { PeopleStore } from '../audit/people/people.ts'
import { checkOptions } from '../options.ts'
import { checkClient, sender, texts, type RedisClient } from './client.ts'
import { createKeyspace, PREFIX } from './keyspace.ts'

export interface RedisPeopleOptions {
  /** The beginning of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
}

/** Adds a secret if there are fewer than so many. KEYS: those of a person. ARGV: 1 the secret, 2 how many there may be. */
const ADD = `
local all = redis.call('LRANGE', KEYS[1], 0, -1)
for _, secret in ipairs(all) do
  if secret == ARGV[1] then return all end
end
if #all >= tonumber(ARGV[2]) then return all end
redis.call('RPUSH', KEYS[1], ARGV[1])
all[#all + 1] = ARGV[1]
return all`

const TIMEOUT = 1_000

/**
 * Keeps the secrets of people in Redis, sealed, one list for each person.
 *
 * @throws ConfigError
 */
export function redisPeople(redis: RedisClient, options: RedisPeopleOptions = {}): PeopleStore {
  checkClient(redis, 'redisPeople')
  const { prefix } = checkOptions<RedisPeopleOptions>('redisPeople', options, { prefix: PREFIX })
  const keys = createKeyspace(prefix)
  const send = sender(redis, TIMEOUT)
  return {
    read: async (name) => texts(await send('LRANGE', keys.person(name), 0, -1)),
    add: async (name, sealed, most) => texts(await send('EVAL', ADD, 1, keys.person(name), sealed, most)),
    async erase(name) {
      const count = Number(await send('LLEN', keys.person(name)))
      await send('DEL', keys.person(name))
      return count
    },
  }
}
