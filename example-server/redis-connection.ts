import { Redis } from 'ioredis'
import { createOutageLog, type Log, type Outage } from './log.ts'
import { SettingError } from './settings.ts'

const START_LIMIT = 3_000

/** Connects to the Redis of `REDIS_URL`. From then on a Redis that goes away, and one that is back, is a line in the log. */
export async function connectRedis(url: string, log: Log): Promise<{ redis: Redis; outage: Outage }> {
  // Nothing waits for a Redis that is away: requests are refused at once, and pass again when it is back.
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
      `REDIS_URL must lead to a Redis server that answers. ${hostOf(url)}: ${causeOfFailure(error, lastError, url)}`,
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
  // The client goes on in database 0 when it cannot have another: ask for it once more, and hear the answer.
  await redis.select(databaseOf(url))
}

function databaseOf(url: string): number {
  return Number(new URL(url).pathname.slice(1) || 0)
}

/** Where it leads, without user and password. */
function hostOf(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname || '127.0.0.1'}:${port || '6379'}`
}

/** What an error of the client or of the server means, and how to mend it. */
const CAUSES: readonly (readonly [sign: RegExp, meaning: string])[] = [
  [/ECONNREFUSED/, 'nothing listens there (ECONNREFUSED). Start Redis, or correct host and port.'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no host of this name (ENOTFOUND). Correct the host.'],
  [
    /EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|timed out|no answer in time/,
    'no answer in time. Check host, port and firewall, and that it speaks Redis{tls}.',
  ],
  [
    /WRONGPASS|invalid password|without any password configured/i,
    'user or password is wrong (WRONGPASS). Correct them in the URL.',
  ],
  [/NOAUTH/, 'it wants a password (NOAUTH). Write it as redis://user:password@host.'],
  [/NOPERM/, 'the user lacks rights (NOPERM). docs/redis.md lists the commands.'],
  [/DB index|invalid DB/i, 'it has no such database. Correct the number behind the slash.'],
  [/SELECT is not allowed/i, 'a Redis Cluster has only database 0. Leave the number out.'],
  [/LOADING/, 'it is still loading its data. Try again in a moment.'],
  [
    /certificate|self.signed|CERT_/i,
    'its certificate is not trusted. Name its authority by NODE_EXTRA_CA_CERTS.',
  ],
  [
    /wrong version number|EPROTO|packet length/i,
    'it does not speak TLS. Write redis:// in place of rediss://.',
  ],
  [
    /ECONNRESET|Connection is closed|EPIPE|Protocol error/,
    'it closed the connection. Check that it is Redis, and whether it wants TLS (rediss://).',
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
  return `it failed in an unknown way. The client says: ${(error as Error).message.split('\n')[0]}`
}
