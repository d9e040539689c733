import { withDeadline } from '../deadline.ts'
import { UnavailableError } from '../errors.ts'
import { isAppId, isListName } from '../names.ts'
import type { StoreListener } from '../store/contract.ts'
import { createListeners } from '../store/listeners.ts'
import { REVISION } from './documents.ts'
import { ownConnection, unavailable } from './client.ts'
import type { RedisClient, RedisConnection, SendCommand } from './client.ts'
import { readEntries, streamEntries, type StreamEntry } from './replies.ts'

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
  announce(send: SendCommand, kind: 'app' | 'list', name: string, revision: number): Promise<void>
  /** Tells the listeners of this process, which need not wait for the stream. */
  changedHere(kind: 'app' | 'list', name: string, revision: number): void
  close(this: void): void
}

/** How long one blocking read waits for news, in milliseconds; a healthy feed is silent no longer than this. */
const BLOCK = 2_000
const BATCH = 512
const FIRST_RETRY = 50
const LAST_RETRY = 2_000

/** Appends to the stream in `stream`, whose entries `counter` numbers without a gap, that an app or a list has changed. */
export const APPEND = (
  stream: string,
  counter: string,
  kind: 'app' | 'list',
  name: string,
  revision: string,
): string =>
  `redis.call('XADD', ${stream}, 'MAXLEN', '~', '10000', '*', '${kind}', ${name}, 'revision', ${revision}, 'number', redis.call('INCR', ${counter}))`

const ANNOUNCE = {
  app: APPEND('KEYS[1]', 'KEYS[2]', 'app', 'ARGV[1]', 'ARGV[2]'),
  list: APPEND('KEYS[1]', 'KEYS[2]', 'list', 'ARGV[1]', 'ARGV[2]'),
}

/** The last entry that was passed on. */
interface Position {
  readonly id: string
  readonly number: number
}

const EMPTY = '0-0'

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
    const reader: Reader = { isStopped: () => stopped, position: undefined, retryAfter: FIRST_RETRY }
    void (async () => {
      while (!stopped) {
        connection = ownConnection(redis)
        connection.on('error', (error) => report(unavailable(error, 'change feed')))
        try {
          await follow(connection, reader)
        } catch (error) {
          // When the server only could not be asked, nothing is known to be missing.
          if (error instanceof FeedGap) reader.position = undefined
          if (!stopped) {
            report(error instanceof UnavailableError ? error : unavailable(error, 'change feed'))
          }
        }
        connection.disconnect()
        if (stopped) return
        becomeBroken()
        // Spread, so that processes do not return together.
        await pause(reader.retryAfter * (0.5 + Math.random()))
        reader.retryAfter = Math.min(LAST_RETRY, reader.retryAfter * 2)
      }
    })()
    return stop
  }

  function becomeBroken(): void {
    if (whole) listeners.tell((listener) => listener.broken())
    whole = false
  }

  function becomeWhole(complete: boolean): void {
    whole = true
    listeners.tell((listener) => listener.restored(complete))
  }

  function report(error: Error): void {
    try {
      onError?.(error)
    } catch {
      // A report that fails must not end the reader.
    }
  }

  /** Reads the stream until the connection fails or an entry is missing: from where it stopped, or from its end. */
  async function follow(connection: RedisConnection, reader: Reader): Promise<void> {
    // The first command waits for the connection, the others for news.
    const ask: SendCommand = (...command) =>
      withDeadline(connection.call(...command), commandTimeout + BLOCK, 'the change feed')
    const read = async (position: Position, block: number): Promise<Position> => {
      const blocking = block === 0 ? [] : ['BLOCK', block]
      const reply = await ask('XREAD', 'COUNT', BATCH, ...blocking, 'STREAMS', stream, position.id)
      return reader.isStopped() ? position : passOn(readEntries(reply), position)
    }
    /** Throws when entries were announced that are not there to be read. */
    const catchUp = async (from: Position): Promise<Position> => {
      for (let position = from; ;) {
        const counted = Number((await ask('GET', counter)) ?? 0)
        const next = await read(position, 0)
        if (next === position && counted !== position.number) throw gap()
        if (next === position) return position
        position = next
      }
    }

    const resumed = reader.position
    let position: Position
    if (resumed === undefined) position = await lastPosition(ask)
    else {
      // A server that took over may lack the newest entries, and others may have come in their place.
      const [last] = streamEntries(await ask('XRANGE', stream, resumed.id, resumed.id))
      if (resumed.id !== EMPTY && (last === undefined || numberOf(last) !== resumed.number)) throw gap()
      position = await catchUp(resumed)
    }
    if (reader.isStopped()) return
    reader.position = position
    // From here on no change is missed. What was read before may be older, unless the feed goes on where it stopped.
    becomeWhole(resumed !== undefined)
    for (;;) {
      let next = await read(position, BLOCK)
      if (next === position) next = await catchUp(position)
      if (reader.isStopped()) return
      reader.retryAfter = FIRST_RETRY
      reader.position = position = next
    }
  }

  async function lastPosition(ask: SendCommand): Promise<Position> {
    for (;;) {
      const counted = await ask('GET', counter)
      const [newest] = streamEntries(await ask('XREVRANGE', stream, '+', '-', 'COUNT', 1))
      // Both are of one moment when nothing was announced in between.
      if ((await ask('GET', counter)) === counted) {
        return { id: newest?.id ?? EMPTY, number: Number(counted ?? 0) }
      }
    }
  }

  function passOn(entries: readonly StreamEntry[], from: Position): Position {
    let position = from
    for (const entry of entries) {
      if (numberOf(entry) !== position.number + 1) throw gap()
      position = { id: entry.id, number: position.number + 1 }
      const revision = entry.value('revision')
      const known = REVISION.test(revision) ? Number(revision) : undefined
      for (const kind of ['app', 'list'] as const) tell(kind, entry.value(kind), known)
    }
    return position
  }

  function tell(kind: 'app' | 'list', name: string, revision: number | undefined): void {
    // What somebody else wrote into the stream counts, and is passed on to nobody.
    if (kind === 'app' && isAppId(name)) listeners.tell((listener) => listener.changed(name, revision))
    if (kind === 'list' && isListName(name))
      listeners.tell((listener) => listener.listChanged?.(name, revision))
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
    async announce(send, kind, name, revision) {
      await send('EVAL', ANNOUNCE[kind], 2, stream, counter, name, revision)
    },
    changedHere: tell,
    close() {
      stop()
      listeners.clear()
    },
  }
}

interface Reader {
  isStopped(): boolean
  /** Where it goes on; `undefined`: at the end of the stream. */
  position: Position | undefined
  retryAfter: number
}

class FeedGap extends UnavailableError {}

function gap(): FeedGap {
  return new FeedGap('the change feed was trimmed or emptied')
}

function numberOf(entry: StreamEntry): number {
  return Number(entry.value('number'))
}
