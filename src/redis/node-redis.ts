import { ConfigError, SECRET } from '../errors.ts'
import type { BytesClient, RedisClient, RedisConnection } from './client.ts'

interface CommandOptions {
  readonly typeMapping?: object | undefined
}

/** The common part of all node-redis clients. */
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
  sendCommand(args: (string | Buffer)[], options?: CommandOptions): Promise<unknown>
  duplicate(options?: object): SingleClient
  connect(): Promise<unknown>
  destroy(): void
}

interface ClusterClient extends Client {
  sendCommand(
    key: string | undefined,
    isReadonly: boolean | undefined,
    args: (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<unknown>
  getNodeClientForKey(key: string): Promise<SingleClient>
}

/** The part of a node-redis client that is used: `createClient()` of version 5 or 6, or `createCluster()` of 6.2 or later. */
export type NodeRedisClient = SingleClient | ClusterClient

/** Flattens the maps that RESP3 returns for XREAD. All other types keep their default. */
const REPLIES: CommandOptions = { typeMapping: { ['%'.charCodeAt(0)]: Array } }

/** The same, but returns strings as bytes. */
const BYTE_REPLIES: CommandOptions = {
  typeMapping: { ['%'.charCodeAt(0)]: Array, ['$'.charCodeAt(0)]: Buffer },
}

/**
 * Adapts a client of node-redis (the package `redis`) for `redisStore`, `redisNonces`, `redisAuditSink` and `readAuditStream`.
 * Accepts the result of `createClient()` of version 5 or 6, or of `createCluster()` of 6.2 or later; for Sentinel use ioredis.
 * Connect the client, listen to its `error` event and close it yourself. Until `connect()` is called, every command rejects.
 *
 * Keys are sent without the `keyPrefix` of the client. On Cluster, every command goes to a master, even with `useReplicas`. While
 * a master is down, its commands reject only after their time-out, not at once.
 *
 * @throws ConfigError
 */
export function fromNodeRedis(client: NodeRedisClient): RedisClient & BytesClient {
  checkClient(client)
  const isCluster = 'getNodeClientForKey' in client
  const { send, parent, readyEvent, hasQueue } = isCluster ? ofCluster(client) : ofSingle(client)
  let isStarting = !client.isReady
  // Also after the first failure, so that its offline queue does not grow.
  for (const event of ['ready', 'reconnecting']) client.on(event, () => (isStarting = false))

  return {
    isCluster,
    options: { enableOfflineQueue: hasQueue },
    get status() {
      if (!client.isOpen) return 'end'
      if (client.isReady) return 'ready'
      return isStarting ? 'connecting' : 'reconnecting'
    },
    call: (...command) => withOurErrors(() => send(command.map(argument), REPLIES)),
    callBuffer: (...command) => withOurErrors(() => send(command.map(argument), BYTE_REPLIES)),
    duplicate: () => ownConnection(parent),
    once: (_ready, listener) => client.once(readyEvent, listener),
    removeListener: (_ready, listener) => client.removeListener(readyEvent, listener),
  }
}

/** Bytes stay bytes. */
function argument(given: string | number | Buffer): string | Buffer {
  return Buffer.isBuffer(given) ? given : String(given)
}

interface Kind {
  send(command: (string | Buffer)[], replies: CommandOptions): Promise<unknown>
  /** The client to duplicate for a connection to the server that has the key. */
  parent(key: string): Promise<SingleClient>
  readonly readyEvent: string
  readonly hasQueue: boolean
}

function ofSingle(client: SingleClient): Kind {
  return {
    send: (command, replies) => client.sendCommand(command, replies),
    parent: async () => client,
    readyEvent: 'ready',
    hasQueue: client.options?.disableOfflineQueue !== true,
  }
}

function ofCluster(client: ClusterClient): Kind {
  return {
    send: (command, replies) => client.sendCommand(firstKey(command), false, command, replies),
    async parent(key) {
      // If the slot of the key has moved, this command is redirected, and the client learns the new server.
      await client.sendCommand(key, false, ['EXISTS', key], REPLIES)
      return client.getNodeClientForKey(key)
    },
    readyEvent: 'connect',
    // It accepts no commands until it has read the slots.
    hasQueue: false,
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
    // A string would be a URL, which may contain a password.
    typeof client === 'string' ? SECRET : client,
  )
}

/** The key that decides which server of a Cluster gets the command. Every command of ours has one. */
function firstKey([name, ...args]: readonly (string | Buffer)[]): string {
  const index = name === 'EVAL' || name === 'EVALSHA' ? 2 : name === 'XREAD' ? args.indexOf('STREAMS') + 1 : 0
  return String(args[index] ?? '')
}

/** A connection that opens with its first command and closes with its first failure. */
function ownConnection(findParent: Kind['parent']): RedisConnection {
  const listeners: ((error: Error) => void)[] = []
  let opening: Promise<SingleClient> | undefined
  let isClosed = false
  let close = (): void => undefined
  let giveUp = (): void => undefined
  const givenUp = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(new Error('closed'))
  })
  givenUp.catch(() => undefined)

  async function open(key: string): Promise<SingleClient> {
    const parent = await findParent(key)
    if (isClosed) throw new Error('closed')
    const own = parent.duplicate({
      // We reconnect ourselves, and a blocking read must not time out.
      socket: { ...parent.options?.socket, reconnectStrategy: false, socketTimeout: undefined },
      // Otherwise this connection would clear the cache of the user.
      clientSideCache: undefined,
      // These may move the connection to another server unnoticed.
      maintNotifications: 'disabled',
    })
    own.on('error', (error: unknown) => {
      for (const listener of listeners) listener(ourError(error))
    })
    const destroy = (): void => {
      try {
        own.destroy()
      } catch {
        // Version 5 throws if the connection is already closed.
      }
    }
    // Destroying a socket that is still opening has no effect.
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

  async function send(command: string[]): Promise<unknown> {
    opening ??= Promise.race([open(firstKey(command)), givenUp])
    return (await opening).sendCommand(command, REPLIES)
  }

  return {
    call: (...command) => withOurErrors(() => send(command.map(String))),
    on: (_error, listener) => listeners.push(listener),
    disconnect() {
      isClosed = true
      giveUp()
      close()
    },
  }
}

async function withOurErrors(ask: () => Promise<unknown>): Promise<unknown> {
  try {
    return await ask()
  } catch (error) {
    throw ourError(error)
  }
}

/** An error with the names that ioredis uses. Nothing else is passed on, because the original may contain what was sent. */
function ourError(error: unknown): Error {
  const { message, code, constructor } = error as {
    readonly message?: unknown
    readonly code?: unknown
    readonly constructor?: { readonly name: string }
  }
  const replyCode = code === undefined ? /^[A-Z]{2,}(?= |$)/.exec(String(message))?.[0] : undefined
  const ours = Object.assign(new Error(replyCode ?? 'the command failed'), code === undefined ? {} : { code })
  ours.name = replyCode === undefined ? (constructor?.name ?? 'Error') : 'ReplyError'
  return ours
}
