import { randomUUID } from 'node:crypto'
import { withDeadline } from '../deadline.ts'
import { UnavailableError } from '../errors.ts'
import type { StoreListener } from '../store/contract.ts'
import { createListeners } from '../store/listeners.ts'
import { ownConnection, unavailable } from './client.ts'
import type { RedisClient, RedisConnection, SendCommand } from './client.ts'
import {
  createFeedReader,
  FeedGap,
  nameIn,
  type Announcement,
  type FeedReader,
  type Position,
} from './feed-reader.ts'
import type { Keyspace } from './keyspace.ts'
import { ANNOUNCE } from './scripts.ts'

export interface FeedOptions {
  readonly keyspace: Keyspace
  readonly commandTimeout: number
  readonly onError: ((error: Error) => void) | undefined
}

/** The changes of all processes, as a stream. Each process resumes reading where it stopped. */
export interface Feed {
  /** The keys that a script needs to announce a change. */
  readonly keys: readonly string[]
  watch(this: void, listener: StoreListener): () => void
  /** Announces a change in a separate step. */
  announce(send: SendCommand, what: Required<Announcement>): Promise<void>
  /** Checks whether the store still has its name. If not, listeners are informed before this resolves. */
  checkStore(send: SendCommand): Promise<void>
  /** Informs the listeners of this process without waiting for the stream. */
  changedHere(what: Announcement): void
  close(this: void): void
}

/** How long one blocking read waits for new entries, in milliseconds. A working feed answers at least this often. */
const BLOCK = 2_000
const FIRST_RETRY = 50
const LAST_RETRY = 2_000

/** Creates a feed. Its reader has its own connection. It starts with the first listener and stops with the last. */
export function createFeed(redis: RedisClient, { keyspace, commandTimeout, onError }: FeedOptions): Feed {
  const keys = [keyspace.feed, keyspace.feedNumber, keyspace.feedStore]
  const listeners = createListeners()
  let follower: Follower | undefined
  let whole = false
  /** The last known name. */
  let storeName: string | undefined

  /** A store that loses its name has lost its data too. Another name means another store, or one that started from scratch. */
  async function checkStore(nameOf: () => Promise<string | undefined>): Promise<void> {
    // Read before the question is sent, because answers may arrive in another order.
    const before = storeName
    const name = await nameOf()
    if (storeName !== before || name === before) return
    storeName = name
    if (before !== undefined) listeners.tell((listener) => listener.emptied?.())
  }

  function tell({ kind, name, revision }: Announcement): void {
    if (kind === 'app') listeners.tell((listener) => listener.changed(name, revision))
    else listeners.tell((listener) => listener.listChanged?.(name, revision))
  }

  const setting: FollowerSetting = {
    connect: () => ownConnection(redis),
    reader: (connection, announce) => {
      // The first command waits for the connection, the others for new entries.
      const ask: SendCommand = (...command) =>
        withDeadline(connection.call(...command), commandTimeout + BLOCK, 'the change feed')
      return createFeedReader(ask, keyspace, announce)
    },
    announce: tell,
    knowsStore: () => storeName !== undefined,
    checkStore,
    broken() {
      if (whole) listeners.tell((listener) => listener.broken())
      whole = false
    },
    restored(complete) {
      whole = true
      listeners.tell((listener) => listener.restored(complete))
    },
    report(error) {
      try {
        onError?.(error)
      } catch {
        // An error of the callback must not stop the reader.
      }
    },
  }

  function stop(): void {
    follower?.stop()
    follower = undefined
    setting.broken()
  }

  return {
    keys,
    watch(listener) {
      listeners.add(listener)
      if (!whole) listener.broken()
      follower ??= new Follower(setting)
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    async announce(send, { kind, name, revision }) {
      await send('EVAL', ANNOUNCE[kind], keys.length, ...keys, name, revision ?? 0, randomUUID())
    },
    async checkStore(send) {
      if (listeners.size === 0) return
      await checkStore(async () => nameIn(await send('GET', keyspace.feedStore)))
    },
    changedHere: tell,
    close() {
      stop()
      listeners.clear()
    },
  }
}

interface FollowerSetting {
  connect(): RedisConnection
  reader(connection: RedisConnection, announce: (what: Announcement) => void): FeedReader
  announce(what: Announcement): void
  /** Whether the store had a name at the last check. */
  knowsStore(): boolean
  checkStore(nameOf: () => Promise<string | undefined>): Promise<void>
  broken(): void
  /** `complete`: nothing was missed since `broken`. */
  restored(complete: boolean): void
  report(error: Error): void
}

/** Reads the feed, over one connection after another, until it is stopped. */
class Follower {
  readonly #setting: FollowerSetting
  #stopped = false
  #connection: RedisConnection | undefined
  #wake: (() => void) | undefined
  #retryAfter = FIRST_RETRY
  /** Where to resume; `undefined`: at the end of the stream. */
  #position: Position | undefined

  constructor(setting: FollowerSetting) {
    this.#setting = setting
    void this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.#connection?.disconnect()
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { connect, report, broken } = this.#setting
    while (!this.#stopped) {
      const connection = (this.#connection = connect())
      connection.on('error', (error) => report(unavailable(error, 'change feed')))
      try {
        await this.#follow(connection)
      } catch (error) {
        // If the server was only unreachable, nothing is known to be missing.
        if (error instanceof FeedGap) this.#position = undefined
        if (!this.#stopped)
          report(error instanceof UnavailableError ? error : unavailable(error, 'change feed'))
      }
      connection.disconnect()
      if (this.#stopped) return
      broken()
      await this.#pause()
    }
  }

  /** Reads until the connection fails or an entry is missing. Starts where the last read stopped, or at the end of the stream. */
  async #follow(connection: RedisConnection): Promise<void> {
    const reader = this.#setting.reader(connection, (what) => {
      if (!this.#stopped) this.#setting.announce(what)
    })
    const resumed = this.#position
    const { checkStore, knowsStore } = this.#setting
    await checkStore(() => reader.storeName())
    let position = resumed === undefined ? await reader.end() : await reader.resume(resumed)
    if (this.#stopped) return
    this.#position = position
    // From here on no change is missed. Data read before may be older, unless the feed resumed where it stopped.
    this.#setting.restored(resumed !== undefined)
    for (;;) {
      position = await reader.next(position, BLOCK)
      // The store gets its name with the first write.
      if (!knowsStore()) await checkStore(() => reader.storeName())
      if (this.#stopped) return
      this.#retryAfter = FIRST_RETRY
      this.#position = position
    }
  }

  /** Random, so that processes do not return together. */
  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      setTimeout(resolve, this.#retryAfter * (0.5 + Math.random())).unref()
    })
    this.#retryAfter = Math.min(LAST_RETRY, this.#retryAfter * 2)
  }
}
