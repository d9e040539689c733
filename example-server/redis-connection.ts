import { Redis } from 'ioredis'
import { createOutageLog, type Log, type Outage } from './log.ts'
import { SettingError } from './settings.ts'

const START_LIMIT = 3_000

/**
 * Connects to the Redis of `REDIS_URL`. Afterwards, logs when Redis becomes unreachable, and when it is reachable
 * again.
 */
export async function connectRedis(url: string, log: Log): Promise<{ redis: Redis; outage: Outage }> {
  // While Redis is unreachable, commands fail at once instead of waiting.
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 500,
    connectTimeout: 1_000,
    retryStrategy: (tries) => Math.min(1_000, 50 * tries),
  })
  let lastError: unknown
  redis.on('error', (error: unknown) => (lastError = error))
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), START_LIMIT)
  })
  try {
    await Promise.race([firstAnswer(redis, url), limit])
  } catch (error) {
    redis.disconnect()
    throw new SettingError(
      `REDIS_URL must point to a Redis server that answers. ${hostOf(url)}: ${causeOfFailure(error, lastError, url)}`,
    )
  } finally {
    clearTimeout(timer)
  }
  const outage = createOutageLog(`Redis at ${hostOf(url)}`, log)
  redis.on('close', () => {
    if (redis.status !== 'end') outage.away(lastError ?? new Error('the connection was closed'))
  })
  redis.on('ready', () => {
    lastError = undefined
    outage.back()
  })
  return { redis, outage }
}

async function firstAnswer(redis: Redis, url: string): Promise<void> {
  await redis.connect()
  await redis.ping()
  // If SELECT fails, the client silently uses database 0. Select the database again, so the error is seen.
  await redis.select(databaseOf(url))
}

function databaseOf(url: string): number {
  return Number(new URL(url).pathname.slice(1) || 0)
}

/** Host and port of a URL, without user and password. */
function hostOf(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname || '127.0.0.1'}:${port || '6379'}`
}

/** The meanings of errors of the client or the server, and how to fix them. */
const CAUSES: readonly (readonly [sign: RegExp, meaning: string])[] = [
  [/ECONNREFUSED/, 'the connection was refused (ECONNREFUSED). Start Redis, or correct the host and port.'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no such host (ENOTFOUND). Correct the host.'],
  [
    /EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|timed out|no answer in time/,
    'no answer in time. Check the host, the port and the firewall, and that the server speaks Redis{tls}.',
  ],
  [
    /WRONGPASS|invalid password|without any password configured/i,
    'the user or the password is wrong (WRONGPASS). Correct them in the URL.',
  ],
  [/NOAUTH/, 'the server requires a password (NOAUTH). Write the URL as redis://user:password@host.'],
  [/NOPERM/, 'the user lacks permissions (NOPERM). docs/redis.md lists them.'],
  [/DB index|invalid DB/i, 'the server has no such database. Correct the number after the slash.'],
  [/SELECT is not allowed/i, 'a Redis Cluster has only database 0. Leave the number out.'],
  [/LOADING/, 'the server is still loading its data. Try again in a moment.'],
  [
    /certificate|self.signed|CERT_/i,
    "the server's certificate is not trusted. Set NODE_EXTRA_CA_CERTS to a file with its CA.",
  ],
  [
    /wrong version number|EPROTO|packet length/i,
    'the server does not speak TLS. Use redis:// instead of rediss://.',
  ],
  [
    /ECONNRESET|Connection is closed|EPIPE|Protocol error/,
    'the server closed the connection. Check that it is Redis, and whether it requires TLS (rediss://).',
  ],
]

function causeOfFailure(error: unknown, lastError: unknown, url: string): string {
  const texts = [lastError, error].map((cause) => {
    const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown }
    return `${String(code)} ${String(message)}`
  })
  for (const text of texts) {
    const known = CAUSES.find(([sign]) => sign.test(text))
    if (known !== undefined) {
      return known[1]
        .replace('no such database', `no database ${databaseOf(url)}`)
        .replace('{tls}', url.startsWith('rediss:') ? ' with TLS' : ' without TLS')
    }
  }
  return `unknown error: ${(error as Error).message.split('\n')[0]}`
}
