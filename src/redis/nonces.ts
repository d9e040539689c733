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
   * How many unexpired nonces one app may have, so that a leaked key cannot fill Redis: each takes about 200 bytes. On Cluster
   * they are spread over 16 parts, each with a sixteenth of the limit. Default 500 000.
   */
  readonly maxPerApp?: number | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/** How far the clocks of two processes may differ, in milliseconds. */
const CLOCKS_DIFFER = 30_000

/** How many slots of a Cluster the nonces of one app are spread over, so that no server has them all. */
const PARTS = 16

/** Into about how many spans a lifetime is divided. The nonces of a span stop counting at its end. */
const SPANS = 16

/**
 * Nonces in Redis, shared by all processes. Each is stored with `SET NX PX` under a key of fixed length, until its signature is
 * no longer valid. The lifetime starts on arrival, so a late claim lives longer, never shorter. Half a minute and
 * `commandTimeout` are added, because clocks differ. The clock of Redis need not be right, but it must not jump.
 *
 * Unless Redis gives a clear answer within `commandTimeout`, it rejects with `UnavailableError`, and the request is refused.
 * Redis must not evict keys (`maxmemory-policy noeviction`). Nonces that Redis loses (in a restart without its data, or a
 * failover to a lagging replica) can be used again.
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
      // The key has the same length for every nonce.
      const digest = hash('sha256', nonce, 'buffer')
      const keys = keyspace.nonce(appId, digest.readUInt8() % parts, digest.toString('base64url', 0, 16))
      claims += 1
      const values = [`${claimant}${claims}`, Math.ceil(lifetime), Math.floor(time), ends, most]
      const answer = await send('EVAL', CLAIM_NONCE, keys.length, ...keys, ...values)
      if (answer === 'full')
        throw new UnavailableError(
          `there is no room for more than ${maxPerApp} unexpired nonces of app \`${appId}\``,
        )
      // After such a delay, Redis may have forgotten an earlier claim of the nonce before this one arrived.
      if (answer === 'first' && now() > until + commandTimeout)
        throw new UnavailableError('the nonce expired before Redis answered')
      return answer === 'first'
    },
  }
}
