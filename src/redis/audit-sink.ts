import { UnavailableError } from '../errors.ts'
import { checkOptions, objectWith, wholeNumber, type Expectation } from '../options.ts'
import type { AuditEvent } from '../audit/event.ts'
import { parseEvent, serialiseEvent } from '../audit/line.ts'
import type { AuditSink } from '../audit/sink.ts'
import { isDisconnected, unavailable } from './client.ts'
import { createKeyspace } from './keyspace.ts'

/** The part of an ioredis client that is used; single server, Sentinel or Cluster. */
export interface RedisAuditClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  readonly status?: string
}

export interface RedisAuditSinkOptions {
  /** The key of the stream. Default `portcullis:audit`. */
  readonly stream?: string | undefined
  /** About how many entries the stream keeps; the oldest are dropped. Default: all, until you trim the stream. */
  readonly maxLength?: number | undefined
}

export const STREAM_KEY: Expectation = {
  expected: 'the key of a stream',
  accepts: (value) => typeof value === 'string' && value !== '',
}

/** Appends all events or none, in order. ARGV: 1 the limit ('' for none), then the events. */
const APPEND = `
for index = 2, #ARGV do
  if ARGV[1] == '' then redis.call('XADD', KEYS[1], '*', 'event', ARGV[index])
  else redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[index]) end
end
return #ARGV - 1`

/**
 * Finds out whether an event could be appended. Redis refuses the id 0-0 only after it has checked whether it can write: memory,
 * disk, replica and permissions.
 */
const CHECK = `
local reply = redis.pcall('XADD', KEYS[1], '0-0', 'event', '')
if string.find(reply.err, 'greater than 0-0', 1, true) then return 0 end
return reply`

/**
 * Appends audit events to a Redis Stream through your own ioredis client: one entry for each event, with the event as one line of
 * JSON in the field `event`. The events of one write are stored together or not at all. An event may be stored twice if Redis
 * stored it and the reply was lost: `id` identifies duplicates.
 *
 * How long a stored event survives a crash of Redis depends on your setting of `appendfsync`.
 *
 * @throws ConfigError
 */
export function redisAuditSink(redis: RedisAuditClient, options: RedisAuditSinkOptions = {}): AuditSink {
  const checked = checkOptions<RedisAuditSinkOptions & { readonly redis: RedisAuditClient }>(
    'redisAuditSink',
    { redis, ...options },
    {
      // A string would be a URL, which may contain a password.
      redis: { ...objectWith('a client of ioredis', 'call'), required: true, secret: true },
      stream: STREAM_KEY,
      maxLength: wholeNumber('events', 1),
    },
  )
  const { stream = createKeyspace().audit, maxLength } = checked
  async function run(script: string, ...values: readonly (string | number)[]): Promise<unknown> {
    if (redis.status !== undefined && isDisconnected(redis.status)) {
      throw new UnavailableError('Redis is not connected (audit)')
    }
    try {
      return await redis.call('EVAL', script, 1, stream, ...values)
    } catch (error) {
      throw unavailable(error, 'audit')
    }
  }
  return {
    async check() {
      await run(CHECK)
    },
    async write(events) {
      const kept = await run(APPEND, maxLength ?? '', ...events.map(serialiseEvent))
      if (kept !== events.length) throw new UnavailableError('Redis did not store all events')
    },
  }
}

/** An event with its position in the stream. */
export interface StoredAuditEvent {
  /** The id of the stream entry. */
  readonly entry: string
  readonly event: AuditEvent
}

/**
 * Reads events from the stream that `redisAuditSink` writes, oldest first. Fewer than `count` events mean the end.
 *
 * @param after the `entry` to continue after. Default: from the beginning.
 * @param count how many events at most. Default 100.
 * @throws UnavailableError if Redis could not be reached, or an entry is not an audit event; the message names the entry.
 */
export async function readAuditStream(
  redis: RedisAuditClient,
  {
    stream = createKeyspace().audit,
    after,
    count = 100,
  }: { stream?: string | undefined; after?: string | undefined; count?: number | undefined } = {},
): Promise<StoredAuditEvent[]> {
  const start = after === undefined ? '-' : `(${after}`
  let reply: unknown
  try {
    reply = await redis.call('XRANGE', stream, start, '+', 'COUNT', count)
  } catch (error) {
    throw unavailable(error, 'audit')
  }
  return (reply as [string, string[]][]).map(([entry, fields]) => {
    const [name, line] = fields
    const event = name === 'event' && line !== undefined ? parseEvent(line) : undefined
    if (event === undefined)
      throw new UnavailableError(`entry \`${entry}\` of the stream is not an audit event`)
    return { entry, event }
  })
}
