import { ConfigError, SECRET } from '../errors.ts'
import type { BytesClient, RedisClient, RedisConnection } from './client.ts'

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

/** Maps, in which RESP3 brings the reply to XREAD, become flat lists, and everything else what it is by default. */
const REPLIES: CommandOptions = { typeMapping: { ['%'.charCodeAt(0)]: Array } }

/** The same, and strings as bytes. */
const BYTE_REPLIES: CommandOptions = {
  typeMapping: { ['%'.charCodeAt(0)]: Array, ['$'.charCodeAt(0)]: Buffer },
}

/**
 * Makes a client of node-redis (the package `redis`) fit for `redisStore`, `redisNonces`, `redisAuditSink` and
 * `readAuditStream`. Takes what `createClient()` of version 5 or 6 or `createCluster()` of 6.2 or later made; for Sentinel
 * use ioredis. Connect it, listen to its `error` event and close it yourself; until `connect()` was called everything
 * rejects.
 *
 * Keys are sent as they are, without the `keyPrefix` of the client. On Cluster everything is asked of the masters, whatever
 * `useReplicas` says, and while one of them is away its commands reject only after their time-out, not at once.
 *
 * @throws ConfigError
 */
export function fromNodeRedis(client: NodeRedisClient): RedisClient & BytesClient {
  checkClient(client)
  const isCluster = 'getNodeClientForKey' in client
  const { send, parent, readyEvent, hasQueue } = isCluster ? ofCluster(client) : ofSingle(client)
  let isStarting = !client.isReady
  // After the first failure too: its offline queue must not fill up.
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
      // Who has the key now: the command is redirected when its slot has moved, and the client learns from that.
      await client.sendCommand(key, false, ['EXISTS', key], REPLIES)
      return client.getNodeClientForKey(key)
    },
    readyEvent: 'connect',
    // Until it has read the slots it takes no commands.
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
    // A text would be a URL, in which a password may stand.
    typeof client === 'string' ? SECRET : client,
  )
}

/** The key that decides which server of a Cluster is asked; every command of ours has one. */
function firstKey([name, ...args]: readonly (string | Buffer)[]): string {
  const index = name === 'EVAL' || name === 'EVALSHA' ? 2 : name === 'XREAD' ? args.indexOf('STREAMS') + 1 : 0
  return String(args[index] ?? '')
}

/** A connection that begins with its first command and ends with its first failure. */
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
      // We reconnect ourselves, and a blocking read is no time-out.
      socket: { ...parent.options?.socket, reconnectStrategy: false, socketTimeout: undefined },
      // The user's cache would be emptied with this connection.
      clientSideCache: undefined,
      // Which may move it to another server unnoticed.
      maintNotifications: 'disabled',
    })
    own.on('error', (error: unknown) => {
      for (const listener of listeners) listener(ourError(error))
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

/** An error named as ioredis names it. Nothing else of theirs goes further: what was sent may hang on it. */
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
