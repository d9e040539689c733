import { ConfigError, SECRET, UnavailableError } from '../errors.ts'

/** The part of an ioredis client (version 5 or 6) that is used; single server, Sentinel or Cluster. */
export interface RedisClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  // oxlint-disable-next-line typescript/no-explicit-any -- single server and Cluster take other arguments
  duplicate(...options: any[]): RedisConnection
  once?(event: 'ready', listener: () => void): unknown
  removeListener?(event: 'ready', listener: () => void): unknown
  readonly status: string
  readonly isCluster?: boolean
  readonly options?: { readonly enableOfflineQueue?: boolean | undefined }
}

/** The part of a Redis client that is used to send and read bytes. */
export interface BytesClient {
  call(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>
  /** As `call`, with bytes in place of strings. */
  callBuffer(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>
  readonly status?: string
}

/** A connection of our own. */
export interface RedisConnection {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
  disconnect(): void
}

/** One command with its name in front. */
export type Command = readonly [name: string, ...args: (string | number)[]]

/** Sends a command, and rejects with `UnavailableError` when it fails or is not answered in time. */
export type SendCommand = (...command: Command) => Promise<unknown>

/** Refuses what is no ioredis client. */
export function checkClient(redis: unknown, factory: string): asserts redis is RedisClient {
  const client = redis as Partial<Record<keyof RedisClient, unknown>> | null | undefined
  if (typeof client?.call !== 'function' || typeof client.duplicate !== 'function') {
    // A text would be a URL, in which a password may stand.
    throw new ConfigError(
      `${factory} client`,
      'a client of ioredis, or one of node-redis through fromNodeRedis()',
      typeof redis === 'string' ? SECRET : redis,
    )
  }
}

const OPENING: ReadonlySet<string> = new Set(['connecting', 'connect'])
const DISCONNECTED: ReadonlySet<string> = new Set(['reconnecting', 'disconnecting', 'close', 'end'])

/** Whether a client that says this of itself would only queue a command, to send it in vain or twice later on. */
export function isDisconnected(status: string): boolean {
  return DISCONNECTED.has(status)
}

/**
 * Puts our own deadline around the commands of a client: whatever its settings are (offline queue, retries, no time-out),
 * a caller waits no longer.
 *
 * A client that has lost its connection is not asked at all, so that its offline queue neither fills up during an outage
 * nor sends what was given up long ago. A client that has never been connected is: it connects lazily, or is starting, and
 * then is waited for even if it has no offline queue.
 */
export function sender(redis: RedisClient, timeout: number): SendCommand {
  let hasBeenReady = false
  return (name, ...args) =>
    new Promise((resolve, reject) => {
      const { status } = redis
      if (status === 'ready') hasBeenReady = true
      if (isDisconnected(status) || (hasBeenReady && OPENING.has(status))) {
        reject(new UnavailableError(`Redis is not connected (${name})`))
        return
      }
      const late = (): void => {
        redis.removeListener?.('ready', ask)
        reject(new UnavailableError(`Redis did not answer within ${timeout} ms (${name})`))
      }
      // After an answer that has come while the event loop was busy, and only waits to be read.
      const timer = setTimeout(() => setImmediate(late), timeout)
      const ask = (): void => {
        redis
          .call(name, ...args)
          .then(resolve, (error: unknown) => reject(unavailable(error, name)))
          .finally(() => clearTimeout(timer))
      }
      const mustBeReady = OPENING.has(status) && redis.options?.enableOfflineQueue === false
      if (mustBeReady && redis.once !== undefined) redis.once('ready', ask)
      else ask()
    })
}

/**
 * What a failure of ioredis means to a caller. The error itself goes no further, not even as a cause: the command hangs on
 * it, and with it documents, sealed keys and, while connecting, the password.
 */
export function unavailable(error: unknown, doing: string): UnavailableError {
  const { name, message, code } = (error ?? {}) as { name?: unknown; message?: unknown; code?: unknown }
  const replyCode = name === 'ReplyError' ? /^[A-Z]+/.exec(String(message))?.[0] : undefined
  if (replyCode !== undefined) return new UnavailableError(`Redis refused: ${replyCode} (${doing})`)
  const reason = typeof code === 'string' ? code : String(name)
  return new UnavailableError(`Redis could not be reached: ${reason} (${doing})`)
}

/** The lines of a reply that should be a list of texts. */
export function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.filter((item): item is string => typeof item === 'string') : []
}

/**
 * A connection for blocking reads. Time-outs of the user's client would cut them off, and we reconnect ourselves, so that
 * no break goes unnoticed.
 */
export function ownConnection(redis: RedisClient): RedisConnection {
  const node = { commandTimeout: undefined, socketTimeout: undefined, disconnectTimeout: 100 }
  if (redis.isCluster !== true) {
    return redis.duplicate({
      ...node,
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      retryStrategy: () => null,
    })
  }
  const { options } = redis as { readonly options?: { readonly redisOptions?: object } }
  return redis.duplicate([], {
    enableOfflineQueue: true,
    clusterRetryStrategy: () => null,
    // With those of the user, for ioredis 5 puts ours in their place.
    redisOptions: { ...options?.redisOptions, ...node },
  })
}
