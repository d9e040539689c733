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

/** The part of a Redis client that is used to send and receive bytes. */
export interface BytesClient {
  call(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>
  /** Like `call`, but returns bytes instead of strings. */
  callBuffer(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>
  readonly status?: string
}

/** A separate connection that we manage. */
export interface RedisConnection {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
  disconnect(): void
}

/** One command, with its name first. */
export type Command = readonly [name: string, ...args: (string | number)[]]

/** Sends a command. Rejects with `UnavailableError` if it fails or is not answered in time. */
export type SendCommand = (...command: Command) => Promise<unknown>

/** Refuses a value that is not an ioredis client. */
export function checkClient(redis: unknown, factory: string): asserts redis is RedisClient {
  const client = redis as Partial<Record<keyof RedisClient, unknown>> | null | undefined
  if (typeof client?.call !== 'function' || typeof client.duplicate !== 'function') {
    // A string would be a URL, which may contain a password.
    throw new ConfigError(
      `${factory} client`,
      'a client of ioredis, or one of node-redis through fromNodeRedis()',
      typeof redis === 'string' ? SECRET : redis,
    )
  }
}

const OPENING: ReadonlySet<string> = new Set(['connecting', 'connect'])
const DISCONNECTED: ReadonlySet<string> = new Set(['reconnecting', 'disconnecting', 'close', 'end'])

/** Whether a client with this status would only queue a command, and later send it in vain or twice. */
export function isDisconnected(status: string): boolean {
  return DISCONNECTED.has(status)
}

/**
 * Applies our own deadline to the commands of a client, so that a caller never waits longer, whatever the settings of the client
 * are (offline queue, retries, time-outs).
 *
 * A client that has lost its connection is not used at all. So its offline queue does not grow during an outage, and does not
 * send commands later that were given up long before. A client that was never connected is used: it connects lazily or is
 * starting, and is waited for even without an offline queue.
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
      // `setImmediate` lets an answer win that arrived while the event loop was busy.
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
 * Converts a failure of ioredis. The original error is not passed on, not even as a cause: it contains the command, with
 * documents and sealed keys, and, while connecting, the password.
 */
export function unavailable(error: unknown, doing: string): UnavailableError {
  const { name, message, code } = (error ?? {}) as { name?: unknown; message?: unknown; code?: unknown }
  const replyCode = name === 'ReplyError' ? /^[A-Z]+/.exec(String(message))?.[0] : undefined
  if (replyCode !== undefined) return new UnavailableError(`Redis refused: ${replyCode} (${doing})`)
  const reason = typeof code === 'string' ? code : String(name)
  return new UnavailableError(`Redis could not be reached: ${reason} (${doing})`)
}

/** The lines of a reply that should be a list of strings. */
export function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.filter((item): item is string => typeof item === 'string') : []
}

/**
 * A connection for blocking reads. Time-outs of the user's client would interrupt them. We reconnect ourselves, so that no break
 * goes unnoticed.
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
    // Merged with the user's options, because ioredis 5 replaces them by ours.
    redisOptions: { ...options?.redisOptions, ...node },
  })
}
