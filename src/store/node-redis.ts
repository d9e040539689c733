import { ConfigError, SECRET } from '../errors.ts'
import type { RedisClient, RedisConnection } from './redis-client.ts'

interface CommandOptions {
  readonly typeMapping?: object | undefined
}

/** What is common to the clients of node-redis. */
interface Client {
  readonly isOpen: boolean
  readonly isReady: boolean
  // oxlint-disable-next-line typescript/no-explicit-any -- each event has other arguments
  on(event: string, listener: (...args: any[]) => void): unknown
  once(event: string, listener: () => void): unknown
  removeListener(event: string, listener: () => void): unknown
}

interface SingleClient extends Client {
  readonly options?:
    { readonly disableOfflineQueue?: boolean | undefined; readonly socket?: object | undefined } | undefined
  sendCommand(args: readonly string[], options?: CommandOptions): Promise<unknown>
  duplicate(options?: object): SingleClient
  connect(): Promise<unknown>
  destroy(): void
}

interface ClusterClient extends Client {
  sendCommand(
    key: string | undefined,
    isReadonly: boolean | undefined,
    args: string[],
    options?: CommandOptions,
  ): Promise<unknown>
  getNodeClientForKey(key: string): Promise<SingleClient>
}

/** What we use of a client of node-redis: `createClient()` of version 5 or 6, or `createCluster()` of 6.2 or later. */
export type NodeRedisClient = SingleClient | ClusterClient

/** Maps, in which RESP3 brings the reply to XREAD, become flat lists, and everything else what it is by default. */
const REPLIES: CommandOptions = { typeMapping: { ['%'.charCodeAt(0)]: Array } }

/**
 * Makes a client of node-redis (the package `redis`) fit for `redisStore`, `redisNonces`, `redisAuditSink` and
 * `readAuditStream`. Takes what `createClient()` of version 5 or 6 or `createCluster()` of 6.2 or later made; for Sentinel
 * use ioredis. Connect it, listen to its `error` event and close it yourself; until `connect()` was called everything
 * rejects.
 *
 * Keys are sent as they are, without the `keyPrefix` of the client. On Cluster everything is asked of the masters, whatever
 * `useReplicas` says.
 *
 * @throws ConfigError
 */
export function fromNodeRedis(client: NodeRedisClient): RedisClient {
  checkClient(client)
  const cluster = 'getNodeClientForKey' in client ? client : undefined
  const single = 'getNodeClientForKey' in client ? undefined : client
  const send = async (command: readonly string[]): Promise<unknown> =>
    'getNodeClientForKey' in client
      ? client.sendCommand(firstKey(command), false, [...command], REPLIES)
      : client.sendCommand(command, REPLIES)
  const readyEvent = cluster === undefined ? 'ready' : 'connect'
  let isStarting = !client.isReady
  // After the first failure too: its offline queue must not fill up.
  for (const event of ['ready', 'reconnecting']) client.on(event, () => (isStarting = false))

  return {
    isCluster: cluster !== undefined,
    // A Cluster that does not know its slots yet has no queue.
    options: { enableOfflineQueue: single !== undefined && single.options?.disableOfflineQueue !== true },
    get status() {
      if (!client.isOpen) return 'end'
      if (client.isReady) return 'ready'
      return isStarting ? 'connecting' : 'reconnecting'
    },
    call: (...command) => plainly(send(command.map(String))),
    duplicate: () =>
      ownConnection(async (key) => {
        if (single !== undefined) return single
        if (cluster === undefined || key === undefined) throw new Error('a key is needed')
        // Finds out where its slot is now.
        await send(['EXISTS', key])
        return cluster.getNodeClientForKey(key)
      }),
    once: (_ready, listener) => client.once(readyEvent, listener),
    removeListener: (_ready, listener) => client.removeListener(readyEvent, listener),
  }
}

function checkClient(client: unknown): asserts client is NodeRedisClient {
  const given = client as Record<string, unknown> | null | undefined
  const methods = ['sendCommand', 'on', 'once', 'removeListener']
  const isClient =
    methods.every((method) => typeof given?.[method] === 'function') &&
    typeof given?.['isReady'] === 'boolean'
  const isSingle =
    typeof given?.['duplicate'] === 'function' && !('nodeClient' in given) && !('acquire' in given)
  if (isClient && (isSingle || typeof given?.['getNodeClientForKey'] === 'function')) return
  throw new ConfigError(
    'fromNodeRedis client',
    'a client of the package redis, made by createClient() of version 5 or 6 or createCluster() of 6.2 or later (for Sentinel use ioredis)',
    // A text would be a URL, in which a password may stand.
    typeof client === 'string' ? SECRET : client,
  )
}

/** The key that decides which server of a Cluster is asked. */
function firstKey([name, ...args]: readonly string[]): string | undefined {
  if (name === 'EVAL' || name === 'EVALSHA') return args[1] === '0' ? undefined : args[2]
  if (name === 'XREAD') return args[args.indexOf('STREAMS') + 1]
  return args[0]
}

/** A connection that begins with its first command and ends with its first failure. */
function ownConnection(findParent: (key: string | undefined) => Promise<SingleClient>): RedisConnection {
  const listeners: ((error: Error) => void)[] = []
  let opening: Promise<SingleClient> | undefined
  let isClosed = false
  let close = (): void => undefined

  async function open(key: string | undefined): Promise<SingleClient> {
    const parent = await findParent(key)
    if (isClosed) throw new Error('closed')
    const own = parent.duplicate({
      socket: { ...parent.options?.socket, reconnectStrategy: false, socketTimeout: undefined },
      disableOfflineQueue: false,
      // Nothing of the user's may cut off a blocking read, be emptied with this connection, or move it to another server.
      commandOptions: undefined,
      clientSideCache: undefined,
      emitInvalidate: undefined,
      maintNotifications: 'disabled',
    })
    own.on('error', (error: unknown) => {
      for (const listener of listeners) listener(plain(error))
    })
    const destroy = (): void => {
      try {
        own.destroy()
      } catch {
        // Version 5 says so when the connection is gone already.
      }
    }
    // A socket that is still opening would survive being destroyed.
    let isConnected = false
    close = () => {
      if (isConnected) destroy()
    }
    own.once('connect', () => {
      isConnected = true
      if (isClosed) destroy()
    })
    try {
      await own.connect()
    } catch (error) {
      destroy()
      throw error
    }
    return own
  }

  async function send(command: readonly string[]): Promise<unknown> {
    opening ??= open(firstKey(command))
    return (await opening).sendCommand(command, REPLIES)
  }

  return {
    call: (...command) => plainly(send(command.map(String))),
    on: (_error, listener) => listeners.push(listener),
    disconnect() {
      isClosed = true
      close()
    },
  }
}

async function plainly(reply: Promise<unknown>): Promise<unknown> {
  try {
    return await reply
  } catch (error) {
    throw plain(error)
  }
}

/** An error of node-redis as ioredis would name it, and nothing else of it. */
function plain(error: unknown): Error {
  const { message, code, constructor } = Object(error) as {
    readonly message?: unknown
    readonly code?: unknown
    readonly constructor: { readonly name: string }
  }
  const replyCode = code === undefined ? /^[A-Z]{2,}(?= |$)/.exec(String(message))?.[0] : undefined
  const ours = new Error(replyCode ?? 'node-redis failed')
  ours.name = replyCode === undefined ? constructor.name : 'ReplyError'
  return Object.assign(ours, code === undefined ? {} : { code })
}
