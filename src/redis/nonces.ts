import { hash, randomBytes } from 'node:crypto'
import { UnavailableError } from '../errors.ts'
import { aFunction, checkOptions, wholeNumber } from '../options.ts'
import { lifetimeOf, type NonceStore } from '../signature/nonces.ts'
import { checkClient, sender, type RedisClient } from './client.ts'
import { compareClocks } from './clock.ts'
import { createKeyspace, PREFIX } from './keyspace.ts'
import { CLAIM_NONCE } from './scripts.ts'

export interface RedisNoncesOptions {
  /** The prefix of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /** How long a claim may take, in milliseconds. Default 500. */
  readonly commandTimeout?: number | undefined
  /**
   * How many unexpired nonces one app may have, so that one whose key leaked cannot fill Redis: about 200 bytes each. On
   * Cluster they lie in 16 parts, each of which holds a sixteenth. Default 500 000.
   */
  readonly maxPerApp?: number | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/** By how much the clocks of two processes may differ, in milliseconds. */
const CLOCKS_DIFFER = 30_000

/** Over how many slots of a Cluster the nonces of one app are spread, so that no server has them all. */
const PARTS = 16

/** A lifetime has about so many spans, at the end of which nonces stop to count. */
const SPANS = 16

/**
 * Nonces in Redis, shared by all processes: `SET NX PX`, one key of fixed length for each, gone when its signature can no
 * longer pass. Its lifetime runs from its arrival, so a claim that is late lives longer and never shorter; half a minute
 * and the time a claim may take are added, for clocks that differ. That of Redis need not be right, it must only not jump.
 *
 * Anything but a clear answer within `commandTimeout` rejects with `UnavailableError`: the request is refused. The Redis
 * must not evict keys (`maxmemory-policy noeviction`), and what it loses (a restart without its data, a failover to a
 * replica that lags) can be used again.
 *
 * @throws ConfigError
 */
export function redisNonces(redis: RedisClient, options: RedisNoncesOptions = {}): NonceStore {
  checkClient(redis, 'redisNonces')
  const checked = checkOptions<RedisNoncesOptions>('redisNonces', options, {
    prefix: PREFIX,
    commandTimeout: wholeNumber('milliseconds', 1, 60_000),
    maxPerApp: wholeNumber('nonces', 1),
    now: aFunction,
  })
  const { commandTimeout = 500, maxPerApp = 500_000, now = Date.now } = checked
  const keyspace = createKeyspace(checked.prefix)
  const send = sender(redis, commandTimeout)
  const parts = redis.isCluster === true ? PARTS : 1
  const most = Math.ceil(maxPerApp / parts)
  const claimant = randomBytes(6).toString('base64url')
  let claims = 0

  return {
    async claim(appId, nonce, until) {
      if (claims === 0) void compareClocks(send, now)
      const time = now()
      const lifetime = lifetimeOf(until, time) + CLOCKS_DIFFER + commandTimeout
      const span = Math.ceil(lifetime / SPANS)
      const ends = Math.ceil((time + lifetime) / span) * span
      // However long the nonce is, its key is not.
      const digest = hash('sha256', nonce, 'buffer')
      const keys = keyspace.nonce(appId, digest.readUInt8() % parts, digest.toString('base64url', 0, 16))
      claims += 1
      const values = [`${claimant}${claims}`, Math.ceil(lifetime), Math.floor(time), ends, most]
      const answer = await send('EVAL', CLAIM_NONCE, keys.length, ...keys, ...values)
      if (answer === 'full')
        throw new UnavailableError(
          `there is no room for more than ${maxPerApp} unexpired nonces of app \`${appId}\``,
        )
      // What was held up for so long was perhaps forgotten before it was asked for.
      if (answer === 'first' && now() > until + commandTimeout)
        throw new UnavailableError('the nonce expired before Redis answered')
      return answer === 'first'
    },
  }
}
