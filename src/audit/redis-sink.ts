import { UnavailableError } from '../errors.ts'
import { checkOptions, objectWith, wholeNumber, type Expectation } from '../options.ts'
import { serialiseEvent, type AuditEvent } from './event.ts'
import type { AuditSink } from './sink.ts'

/** What we use of an ioredis client. */
export interface RedisAuditClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
}

export interface RedisAuditSinkOptions {
  /** Key of the stream. Default `portcullis:audit`. */
  readonly stream?: string | undefined
  /** How many entries the stream keeps, about; the oldest leave. Default: all, until you trim them. */
  readonly maxLength?: number | undefined
}

const A_KEY: Expectation = {
  expected: 'the key of a stream',
  accepts: (value) => typeof value === 'string' && value !== '',
}

/** All events or none, in order: ARGV is the limit ('' for none), then the events. */
const APPEND = `
for index = 2, #ARGV do
  if ARGV[1] == '' then redis.call('XADD', KEYS[1], '*', 'event', ARGV[index])
  else redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[index]) end
end
return #ARGV - 1`

/**
 * Appends audit events to a Redis Stream, through your own ioredis client: one entry for each, with the event as one line
 * of JSON in the field `event`. The events of one write are kept all or not at all.
 *
 * @throws ConfigError
 */
export function redisAuditSink(redis: RedisAuditClient, options: RedisAuditSinkOptions = {}): AuditSink {
  checkOptions(
    'redisAuditSink',
    { redis, ...options },
    {
      redis: { ...objectWith('a client of ioredis', 'call'), required: true },
      stream: A_KEY,
      maxLength: wholeNumber('events', 1),
    },
  )
  const { stream = 'portcullis:audit', maxLength } = options
  return {
    async write(events) {
      const kept = await redis.call('EVAL', APPEND, 1, stream, maxLength ?? '', ...events.map(serialiseEvent))
      if (kept !== events.length) throw new UnavailableError('Redis did not keep all events')
    },
  }
}

/** An event with its place in the stream. */
export interface StoredAuditEvent {
  /** Id of the stream entry. */
  readonly entry: string
  readonly event: AuditEvent
}

/**
 * Reads events from the stream that `redisAuditSink` writes, the oldest first.
 *
 * @param after the `entry` to continue after. Default: from the beginning.
 * @param count how many at most. Default 100.
 */
export async function readAuditStream(
  redis: RedisAuditClient,
  {
    stream = 'portcullis:audit',
    after,
    count = 100,
  }: { stream?: string; after?: string; count?: number } = {},
): Promise<StoredAuditEvent[]> {
  const reply = await redis.call(
    'XRANGE',
    stream,
    after === undefined ? '-' : `(${after}`,
    '+',
    'COUNT',
    count,
  )
  return (reply as [string, string[]][]).map(([entry, fields]) => ({
    entry,
    event: JSON.parse(fields[fields.indexOf('event') + 1] ?? 'null') as AuditEvent,
  }))
}
