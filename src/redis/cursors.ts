import type { CursorStore } from '../audit/export/exporter.ts'
import { checkOptions } from '../options.ts'
import { checkClient, sender, type RedisClient } from './client.ts'
import { createKeyspace, PREFIX } from './keyspace.ts'

export interface RedisCursorsOptions {
  /** The prefix of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
}

const TIMEOUT = 5_000

/**
 * Stores in Redis how far each destination has read the audit log.
 *
 * @throws ConfigError
 */
export function redisCursors(redis: RedisClient, options: RedisCursorsOptions = {}): CursorStore {
  checkClient(redis, 'redisCursors')
  const { prefix } = checkOptions<RedisCursorsOptions>('redisCursors', options, { prefix: PREFIX })
  const { cursors } = createKeyspace(prefix)
  const send = sender(redis, TIMEOUT)
  return {
    async read(name) {
      const place = await send('HGET', cursors, name)
      return typeof place === 'string' && place !== '' ? place : undefined
    },
    write: async (name, place) => void (await send('HSET', cursors, name, place)),
  }
}
