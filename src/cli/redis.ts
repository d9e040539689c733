import { UnavailableError } from '../errors.ts'
import type { BytesClient, RedisClient } from '../redis/client.ts'
import { CommandDeniedError, CommandUsageError, textOf, type Invocation } from './command.ts'
import { readSource } from './input.ts'

export type OpenedClient = BytesClient &
  RedisClient & {
    connect(): Promise<void>
    on(event: 'error', listener: (error: Error) => void): unknown
    disconnect(): void
  }

/**
 * The URL of the Redis server, from the options or the environment. A password in an argument is refused: every user of the
 * machine can see the arguments of a process, and the shell keeps them in its history.
 */
export async function redisUrlOf(
  invocation: Invocation,
  given: string | undefined,
): Promise<string | undefined> {
  const { values, env } = invocation
  const file = textOf(values, 'redis-url-file')
  if (file !== undefined) return checkUrl((await readSource(invocation, file)).trim(), `\`${file}\``)
  if (given === undefined) {
    const url = env['PORTCULLIS_REDIS_URL'] ?? env['REDIS_URL']
    return url === undefined || url === '' ? undefined : checkUrl(url, 'PORTCULLIS_REDIS_URL')
  }
  const url = checkUrl(given, 'the URL of the Redis server')
  if (new URL(url).password !== '')
    throw new CommandUsageError(
      'others can see a password in an argument: put the URL in PORTCULLIS_REDIS_URL, or in a file given by `--redis-url-file`',
    )
  return url
}

/** Shows no part of the value, because it may contain a password. */
function checkUrl(url: string, what: string): string {
  if (/^rediss?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) return url
  throw new CommandUsageError(`${what} must be a URL such as \`redis://host:6379\` or \`rediss://host:6379\``)
}

/** The place of a Redis server, for people: without user and password. */
export function placeOf(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

/** Connects, and gives up at the first failure. */
export async function openRedis(url: string): Promise<OpenedClient> {
  const redis = (await maker())(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 5_000,
  })
  let [reason, cause] = ['', '']
  const hear = ({ message, code }: NodeJS.ErrnoException): void => {
    reason ||= /\b(?:NOAUTH|WRONGPASS|NOPERM)\b/.exec(message)?.[0] ?? ''
    if (cause === '' && /^[A-Z][A-Z_\d]+$/.test(code ?? '')) cause = ` (${code ?? ''})`
  }
  redis.on('error', hear)
  try {
    await redis.connect()
  } catch (error) {
    hear(error as Error)
    redis.disconnect()
    // The URL may contain a password, and so may the error of the client.
    if (reason === '')
      throw new UnavailableError(
        `Redis cannot be reached at ${placeOf(url)}${cause}: check that it is running, and that host and port are right`,
      )
  }
  if (reason === '') return redis
  redis.disconnect()
  throw new CommandDeniedError(
    `Redis refused the credentials (${reason}): put a URL with user and password in PORTCULLIS_REDIS_URL, or in a file given by \`--redis-url-file\``,
  )
}

async function maker(): Promise<(url: string, options: object) => OpenedClient> {
  try {
    const { Redis } = await import('ioredis')
    return (given, options) => new Redis(given, options)
  } catch {
    throw new CommandUsageError(
      'commands that use Redis need the package `ioredis`, which is not installed: run `npm install ioredis`',
    )
  }
}
