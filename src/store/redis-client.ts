import { ConfigError, UnavailableError } from '../errors.ts'

/** What we use of an ioredis client (version 5 or 6), single server, Sentinel or Cluster. */
export interface RedisClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  // oxlint-disable-next-line typescript/no-explicit-any -- single server and Cluster take other arguments
  duplicate(...options: any[]): RedisConnection
  readonly status: string
  readonly isCluster?: boolean
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
    throw new ConfigError(`${factory} client`, 'a client of ioredis', redis)
  }
}

/**
 * Puts our own deadline around the commands of a client: whatever its settings are (offline queue, retries, no time-out),
 * a caller waits no longer. Error texts of the server stay in `cause`.
 */
export function sender(redis: Pick<RedisClient, 'call'>, timeout: number): SendCommand {
  return (name, ...args) =>
    new Promise((resolve, reject) => {
      const fail = (reason: string, cause?: unknown): void =>
        reject(new UnavailableError(`Redis ${reason} (${name})`, { cause }))
      const timer = setTimeout(() => fail(`gave no answer within ${timeout} ms`), timeout)
      redis
        .call(name, ...args)
        .then(resolve, (error: unknown) => fail('refused or could not be asked', error))
        .finally(() => clearTimeout(timer))
    })
}

/** The lines of a reply that should be a list of texts. */
export function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.filter((item): item is string => typeof item === 'string') : []
}
