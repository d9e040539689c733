import { aFunction, checkOptions, wholeNumber } from '../options.ts'
import type { NonceStore } from '../signature/nonces.ts'
import { checkClient, sender, type RedisClient } from './redis-client.ts'
import { PREFIX } from './redis.ts'

export interface RedisNoncesOptions {
  /** In front of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /** How long a claim may take, in milliseconds. Default 500. */
  readonly commandTimeout?: number | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/**
 * Nonces in Redis, shared by all processes: `SET NX PX`, one key for each, gone when its signature can no longer pass.
 * The Redis must not evict keys (`maxmemory-policy noeviction`): a nonce that was evicted could be used again.
 *
 * @throws ConfigError
 */
export function redisNonces(redis: RedisClient, options: RedisNoncesOptions = {}): NonceStore {
  checkClient(redis, 'redisNonces')
  checkOptions('redisNonces', options, {
    prefix: PREFIX,
    commandTimeout: wholeNumber('milliseconds', 1, 60_000),
    now: aFunction,
  })
  const { prefix = 'portcullis:', commandTimeout = 500, now = Date.now } = options
  const send = sender(redis, commandTimeout)
  return {
    async claim(appId, nonce, until) {
      // An app id holds no slash, so the key is unambiguous. Half a minute more than due, for clocks that differ.
      const key = `${prefix}nonce:${appId}/${nonce}`
      const lifetime = Math.max(0, Math.ceil(until - now())) + 30_000
      return (await send('SET', key, '1', 'PX', lifetime, 'NX')) === 'OK'
    },
  }
}
