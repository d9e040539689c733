import { withDeadline } from '../deadline.ts'
import { UnavailableError } from '../errors.ts'
import { isAppId } from '../policy/index.ts'
import type { StoreListener } from './contract.ts'
import { createListeners } from './listeners.ts'
import { unavailable, type RedisClient, type RedisConnection, type SendCommand } from './redis-client.ts'

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
  const listeners = createListeners()
  let stopReader: (() => void) | undefined
  let whole = false

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
        connection.on('error', (error) => report(unavailable(error, 'change feed')))
        try {
          // After a break everything is read anew, so the feed need not be followed from where it was.
          await follow(
            connection,
            () => stopped,
            () => {
              retryAfter = FIRST_RETRY
            },
          )
        } catch (error) {
          if (!stopped) {
            report(error instanceof UnavailableError ? error : unavailable(error, 'change feed'))
          }
        }
        connection.disconnect()
        if (stopped) return
        becomeBroken()
        // Spread, so that processes do not return together.
        await pause(retryAfter * (0.5 + Math.random()))
        retryAfter = Math.min(LAST_RETRY, retryAfter * 2)
      }
    })()
    return stop
  }

  function becomeBroken(): void {
    if (whole) listeners.tell((listener) => listener.broken())
    whole = false
  }

  function report(error: Error): void {
    try {
      onError?.(error)
    } catch {
      // A report that fails must not end the reader.
    }
  }

  /** Reads the stream until the connection fails or an entry is missing. */
  async function follow(
    connection: RedisConnection,
    isStopped: () => boolean,
    healthy: () => void,
  ): Promise<void> {
    const limited = <T>(promise: Promise<T>, limit: number): Promise<T> =>
      withDeadline(promise, limit, 'the change feed')
    // Before the stream: what is announced in between has a higher number than this.
    const counted = await limited(connection.call('GET', counter), commandTimeout + BLOCK)
    const last = await limited(
      connection.call('XREVRANGE', stream, '+', '-', 'COUNT', 1),
      commandTimeout + BLOCK,
    )
    const newest = entries(last)[0]
    let position = newest?.id ?? '0-0'
    let number = newest?.number ?? Number(counted ?? 0)
    if (isStopped()) return
    // From here on no change is missed; what was read before may be older than that.
    whole = true
    listeners.tell((listener) => listener.restored())
    for (;;) {
      const reply = await limited(
        connection.call('XREAD', 'COUNT', BATCH, 'BLOCK', BLOCK, 'STREAMS', stream, position),
        BLOCK + commandTimeout,
      )
      if (isStopped()) return
      healthy()
      for (const entry of entries(streamOf(reply))) {
        if (entry.number !== number + 1) throw new UnavailableError('the change feed was trimmed or emptied')
        position = entry.id
        number = entry.number
        // What somebody else wrote into the stream counts, and is passed on to nobody.
        if (isAppId(entry.appId)) listeners.tell((listener) => listener.changed(entry.appId))
      }
    }
  }

  function stop(): void {
    stopReader?.()
    stopReader = undefined
    becomeBroken()
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
    changedHere: (appId) => listeners.tell((listener) => listener.changed(appId)),
    close() {
      stop()
      listeners.clear()
    },
  }
}

/**
 * A connection for blocking reads. Time-outs of the user's client would cut them off, and we reconnect ourselves, so that
 * no break goes unnoticed.
 */
function ownConnection(redis: RedisClient): RedisConnection {
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
