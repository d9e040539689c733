import type { StoreListener } from './contract.ts'
import type { RedisClient, RedisConnection, SendCommand } from './redis-client.ts'

export interface FeedOptions {
  readonly prefix: string
  readonly commandTimeout: number
  readonly onError: ((error: Error) => void) | undefined
}

/** The changes of all processes, as a stream that each of them reads from where it stopped. */
export interface Feed {
  /** The keys that a script needs to announce a change: the stream, and the counter of its entries. */
  readonly keys: readonly string[]
  watch(this: void, listener: StoreListener): () => void
  /** Announces a change in a step of its own. */
  announce(send: SendCommand, appId: string): Promise<void>
  /** Tells the listeners of this process, which need not wait for the stream. */
  changedHere(appId: string): void
  close(this: void): void
}

/** How long one blocking read waits for news, in milliseconds; a healthy feed is silent no longer than this. */
const BLOCK = 2_000
const BATCH = 512
const FIRST_RETRY = 50
const LAST_RETRY = 2_000

/** Appends to the stream in `stream`, whose entries `counter` numbers without a gap. */
export const APPEND = (stream: string, counter: string, appId: string): string =>
  `redis.call('XADD', ${stream}, 'MAXLEN', '~', '10000', '*', 'app', ${appId}, 'number', redis.call('INCR', ${counter}))`

const ANNOUNCE = APPEND('KEYS[1]', 'KEYS[2]', 'ARGV[1]')

/** Makes a feed. Its reader begins with the first listener, on a connection of its own, and ends with the last. */
export function createFeed(redis: RedisClient, { prefix, commandTimeout, onError }: FeedOptions): Feed {
  // One hash tag, so that stream and counter are in one slot of a Cluster.
  const stream = `${prefix}{feed}`
  const counter = `${prefix}{feed}:number`
  const listeners = new Set<StoreListener>()
  let stopReader: (() => void) | undefined
  let whole = false

  const tell = (call: (listener: StoreListener) => void): void => {
    for (const listener of listeners) call(listener)
  }

  function start(): () => void {
    let stopped = false
    let connection: RedisConnection | undefined
    let wake: (() => void) | undefined
    const stop = (): void => {
      stopped = true
      connection?.disconnect()
      wake?.()
    }
    const pause = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => {
        wake = resolve
        setTimeout(resolve, milliseconds).unref()
      })
    void (async () => {
      let retryAfter = FIRST_RETRY
      while (!stopped) {
        connection = ownConnection(redis)
        connection.on('error', (error) => onError?.(error))
        try {
          // After a break everything is read anew, so the feed need not be followed from where it was.
          await follow(connection, () => {
            retryAfter = FIRST_RETRY
          })
        } catch (error) {
          if (!stopped) onError?.(error instanceof Error ? error : new Error('the change feed broke'))
        }
        connection.disconnect()
        if (stopped) return
        if (whole) tell((listener) => listener.broken())
        whole = false
        // Spread, so that processes do not return together.
        await pause(retryAfter * (0.5 + Math.random()))
        retryAfter = Math.min(LAST_RETRY, retryAfter * 2)
      }
    })()
    return stop
  }

  /** Reads the stream until the connection fails or an entry is missing. */
  async function follow(connection: RedisConnection, healthy: () => void): Promise<never> {
    const limited = <T>(promise: Promise<T>, limit: number): Promise<T> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`the change feed gave no answer within ${limit} ms`)),
          limit,
        )
        promise.then(resolve, reject).finally(() => clearTimeout(timer))
      })
    const last = await limited(
      connection.call('XREVRANGE', stream, '+', '-', 'COUNT', 1),
      commandTimeout + BLOCK,
    )
    const newest = entries(last)[0]
    let position = newest?.id ?? '0-0'
    let number = newest?.number
    // From here on no change is missed; what was read before may be older than that.
    whole = true
    tell((listener) => listener.restored())
    healthy()
    for (;;) {
      const reply = await limited(
        connection.call('XREAD', 'COUNT', BATCH, 'BLOCK', BLOCK, 'STREAMS', stream, position),
        BLOCK + commandTimeout,
      )
      for (const entry of entries(streamOf(reply))) {
        if (number !== undefined && entry.number !== number + 1)
          throw new Error('the change feed was trimmed or emptied')
        position = entry.id
        number = entry.number
        tell((listener) => listener.changed(entry.appId))
      }
    }
  }

  function stop(): void {
    stopReader?.()
    stopReader = undefined
    whole = false
  }

  return {
    keys: [stream, counter],
    watch(listener) {
      listeners.add(listener)
      if (!whole) listener.broken()
      stopReader ??= start()
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    async announce(send, appId) {
      await send('EVAL', ANNOUNCE, 2, stream, counter, appId)
    },
    changedHere: (appId) => tell((listener) => listener.changed(appId)),
    close() {
      listeners.clear()
      stop()
    },
  }
}

/**
 * A connection for blocking reads. Time-outs of the user's client would cut them off, and we reconnect ourselves, so that
 * no break goes unnoticed.
 */
function ownConnection(redis: RedisClient): RedisConnection {
  const options = { enableOfflineQueue: true, maxRetriesPerRequest: null }
  if (redis.isCluster === true) return redis.duplicate([], options)
  return redis.duplicate({
    ...options,
    commandTimeout: undefined,
    socketTimeout: undefined,
    retryStrategy: () => null,
  })
}

interface FeedEntry {
  readonly id: string
  readonly appId: string
  readonly number: number
}

/** The entries in the reply to XREAD about one stream: a list of pairs with RESP2, name and entries in a row with RESP3. */
function streamOf(reply: unknown): unknown {
  const pair: unknown = Array.isArray(reply) && Array.isArray(reply[0]) ? reply[0] : reply
  return Array.isArray(pair) ? (pair as unknown[])[1] : undefined
}

function entries(reply: unknown): FeedEntry[] {
  if (!Array.isArray(reply)) return []
  return (reply as [string, string[]][]).map(([id, fields]) => {
    const valueOf = (name: string): string => fields[fields.indexOf(name) + 1] ?? ''
    return { id, appId: valueOf('app'), number: Number(valueOf('number')) }
  })
}
