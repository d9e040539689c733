import {
  collect,
  MOST_LOOKED_AT,
  type FindRecentEvents,
  type RecentEventsOptions,
} from '../audit/reading/recent-events.ts'
import { checkOptions, objectWith, wholeNumber } from '../options.ts'
import { STREAM_KEY, type RedisAuditClient } from './audit-sink.ts'
import { unavailable } from './client.ts'
import { createKeyspace } from './keyspace.ts'

export interface RedisRecentEventsOptions extends RecentEventsOptions {
  /** The key of the stream, as in `redisAuditSink`. Default `portcullis:audit`. */
  readonly stream?: string | undefined
}

/** How many entries are read at once. Between two reads, the process can serve requests. */
const PAGE = 1_000

/**
 * Finds the newest events of the stream that `redisAuditSink` writes, for the option `recentEvents` of `createConsole`. It
 * searches at most `most` events, newest first.
 *
 * @throws ConfigError
 */
export function redisRecentEvents(
  redis: RedisAuditClient,
  options: RedisRecentEventsOptions = {},
): FindRecentEvents {
  const { stream = createKeyspace().audit, most = MOST_LOOKED_AT } = checkOptions<
    RedisRecentEventsOptions & { readonly redis: RedisAuditClient }
  >(
    'redisRecentEvents',
    { redis, ...options },
    {
      // A string would be a URL, which may contain a password.
      redis: { ...objectWith('a client of ioredis', 'call'), required: true, secret: true },
      stream: STREAM_KEY,
      most: wholeNumber('events', 1),
    },
  )
  return (query) => collect(linesBack(redis, stream, Math.min(PAGE, most)), query, most)
}

async function* linesBack(
  redis: RedisAuditClient,
  stream: string,
  page: number,
): AsyncGenerator<readonly string[]> {
  let end = '+'
  for (;;) {
    let reply: unknown
    try {
      reply = await redis.call('XREVRANGE', stream, end, '-', 'COUNT', page)
    } catch (error) {
      throw unavailable(error, 'audit')
    }
    const entries = reply as readonly [id: string, fields: readonly string[]][]
    yield entries.map(([, [, line = '']]) => line)
    const last = entries.at(-1)
    if (last === undefined || entries.length < page) return
    end = `(${last[0]}`
  }
}
