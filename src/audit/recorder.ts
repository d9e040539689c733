import { withDeadline } from '../deadline.ts'
import { UnavailableError } from '../errors.ts'
import { isThenable } from '../thenable.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './sink.ts'

export interface RecorderOptions {
  readonly sink: AuditSink
  /** How long the sink may take for one write, in milliseconds. Default 250. */
  readonly sinkTimeout?: number | undefined
  /** How many events may wait for a sink that fails; further events are lost and counted. Default 10 000. */
  readonly maxBacklog?: number | undefined
  /** Called with every failed write and every loss, with the number of waiting events and of lost events so far. */
  readonly onError?:
    ((error: Error, backlog: { readonly waiting: number; readonly lost: number }) => void) | undefined
  /** Random numbers from 0 up to 1, to spread retries. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** Passes events of requests to a sink, and sends them again if it fails. */
export interface Recorder {
  /**
   * Passes events to the sink. Returns `undefined` if the sink took them synchronously; otherwise a promise that rejects with
   * `UnavailableError` if the sink did not take them in time. Such events wait and are sent again, in the order in which they
   * were recorded, until the sink has taken them. So each event arrives at least once while the process lives. At most
   * `maxBacklog` events wait; further ones are lost, counted in `lost` and reported.
   *
   * @param behind the result of `record` for events that must arrive first. Other events may be sent in parallel.
   */
  record(events: readonly AuditEvent[], behind?: Promise<void>): void | Promise<void>
  /** Whether events wait that the sink has not taken. Meanwhile `record` rejects and adds its events to the queue. */
  readonly failing: boolean
  /** How many events were lost, because the backlog was full or the recorder was closed. */
  readonly lost: number
  /**
   * Resolves when all events recorded so far are kept, and flushes the sink. Rejects with `UnavailableError` if the sink refuses
   * them again.
   */
  flush(): Promise<void>
  /** Like `flush`, and closes the recorder and the sink: nothing is recorded or sent again after it. */
  close(): Promise<void>
}

/** The events of one call, and their position among the others. */
interface Batch {
  readonly place: number
  readonly events: readonly AuditEvent[]
}

/** Milliseconds to the first retry. Each further pause is twice as long, up to the last. */
const FIRST_RETRY = 100
const LAST_RETRY = 2_000
/** About how many events one retry sends. */
const RETRY_SIZE = 256

/** How many open recorders write to a sink. */
const users = new WeakMap<AuditSink, number>()

/** Creates a recorder. */
export function createRecorder(options: RecorderOptions): Recorder {
  return new BacklogRecorder(options)
}

class BacklogRecorder implements Recorder {
  readonly #sink: AuditSink
  readonly #sinkTimeout: number
  readonly #maxBacklog: number
  readonly #onError: RecorderOptions['onError']
  readonly #random: () => number
  readonly #inFlight = new Set<Promise<void>>()
  #backlog: Batch[] = []
  #waiting = 0
  #lost = 0
  #nextPlace = 0
  #retryAfter = FIRST_RETRY
  #timer: NodeJS.Timeout | undefined
  #draining: Promise<void> | undefined
  #closed = false
  #closing: Promise<void> | undefined

  constructor({
    sink,
    sinkTimeout = 250,
    maxBacklog = 10_000,
    onError,
    random = Math.random,
  }: RecorderOptions) {
    this.#sink = sink
    users.set(sink, (users.get(sink) ?? 0) + 1)
    this.#sinkTimeout = sinkTimeout
    this.#maxBacklog = maxBacklog
    this.#onError = onError
    this.#random = random
  }

  get failing(): boolean {
    return this.#backlog.length > 0
  }

  get lost(): number {
    return this.#lost
  }

  record(events: readonly AuditEvent[], behind?: Promise<void>): void | Promise<void> {
    if (events.length === 0) return undefined
    if (behind !== undefined && this.#inFlight.has(behind)) {
      const later = (): void | Promise<void> => this.record(events)
      return this.#track(behind.then(later, later))
    }
    if (this.#closed) {
      this.#lost += events.length
      const closing = new UnavailableError('the recorder was closed, and events are lost')
      this.#report(closing)
      return Promise.reject(closing)
    }
    const batch: Batch = { place: this.#nextPlace++, events }
    // While there is a backlog, events join it, so that they arrive in order.
    if (this.#backlog.length > 0) {
      this.#keep(batch)
      return Promise.reject(new UnavailableError('earlier events are still waiting for the sink'))
    }
    let written: Promise<unknown> | undefined
    try {
      written = this.#write(events)
    } catch (error) {
      return Promise.reject(this.#failed(batch, error))
    }
    if (written === undefined) return undefined
    // A write may still succeed after its time-out. Then it need not be repeated.
    written.then(
      () => this.#forget([batch]),
      () => undefined,
    )
    const recorded: Promise<void> = withDeadline(written, this.#sinkTimeout, 'the sink').then(
      () => undefined,
      (error: unknown) => {
        throw this.#failed(batch, error)
      },
    )
    return this.#track(recorded)
  }

  #track(recorded: Promise<void>): Promise<void> {
    const settled = (): void => void this.#inFlight.delete(recorded)
    this.#inFlight.add(recorded)
    recorded.then(settled, settled)
    return recorded
  }

  /** `undefined` if the sink took the events synchronously. */
  #write(events: readonly AuditEvent[]): Promise<unknown> | undefined {
    const returned: unknown = this.#sink.write(events)
    return isThenable(returned) ? Promise.resolve(returned) : undefined
  }

  #failed(batch: Batch, cause: unknown): UnavailableError {
    this.#keep(batch)
    this.#report(cause)
    return new UnavailableError('the sink did not store the events', { cause })
  }

  #keep({ place, events }: Batch): void {
    const kept = events.slice(0, Math.max(0, this.#maxBacklog - this.#waiting))
    if (kept.length < events.length) {
      this.#lost += events.length - kept.length
      this.#report(new UnavailableError('the audit backlog is full, and events are lost'))
    }
    if (kept.length === 0) return
    this.#waiting += kept.length
    // Parallel writes may fail in another order than they were recorded in.
    const behind = this.#backlog.findLastIndex((other) => other.place < place)
    this.#backlog.splice(behind + 1, 0, { place, events: kept })
    this.#retryLater()
  }

  #forget(batches: readonly Batch[]): void {
    if (this.#backlog.length === 0) return
    const places = new Set(batches.map(({ place }) => place))
    this.#backlog = this.#backlog.filter(({ place, events }) => {
      if (places.has(place)) this.#waiting -= events.length
      return !places.has(place)
    })
  }

  #retryLater(): void {
    if (
      this.#timer !== undefined ||
      this.#draining !== undefined ||
      this.#closed ||
      this.#backlog.length === 0
    )
      return
    const random = this.#random
    // Random, so that processes do not return to a sink together.
    this.#timer = setTimeout(
      () => void this.#drain().catch(() => undefined),
      this.#retryAfter * (0.5 + random()),
    )
    this.#timer.unref()
  }

  /** Sends the backlog until it is empty; rejects at the first failure. */
  #drain(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#draining ??= this.#sendAll().finally(() => {
      this.#draining = undefined
      this.#retryLater()
    })
    return this.#draining
  }

  async #sendAll(): Promise<void> {
    while (this.#backlog.length > 0) {
      // After a failed retry only the oldest batch is sent, because a client with its own queue may keep what we send.
      const batches = this.#retryAfter === FIRST_RETRY ? chunk(this.#backlog) : this.#backlog.slice(0, 1)
      try {
        const written = this.#write(batches.flatMap(({ events }) => events))
        if (written !== undefined) await withDeadline(written, this.#sinkTimeout, 'the sink')
      } catch (error) {
        this.#retryAfter = Math.min(LAST_RETRY, this.#retryAfter * 2)
        this.#report(error)
        throw new UnavailableError('the sink did not store the events', { cause: error })
      }
      this.#retryAfter = FIRST_RETRY
      this.#forget(batches)
    }
  }

  #report(cause: unknown): void {
    const onError = this.#onError
    try {
      const error = cause instanceof Error ? cause : new UnavailableError('the sink failed')
      const returned: unknown = onError?.(error, { waiting: this.#waiting, lost: this.#lost })
      if (isThenable(returned)) returned.then(undefined, () => undefined)
    } catch {
      // An error of the callback must not harm a request.
    }
  }

  async flush(): Promise<void> {
    await this.#drained()
    await this.#sink.flush?.()
  }

  async #drained(): Promise<void> {
    await Promise.allSettled(this.#inFlight)
    if (this.#backlog.length > 0) await this.#drain()
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    try {
      await this.#drained()
    } finally {
      this.#closed = true
      clearTimeout(this.#timer)
      const others = (users.get(this.#sink) ?? 1) - 1
      users.set(this.#sink, others)
      // Other recorders may still write to it.
      if (others > 0) await this.#sink.flush?.()
      else await this.#sink.close?.()
    }
  }
}

/** The oldest batches, up to the size of a retry; at least one. */
function chunk(backlog: readonly Batch[]): readonly Batch[] {
  let size = 0
  const end = backlog.findIndex(({ events }, index) => (size += events.length) > RETRY_SIZE && index > 0)
  return end === -1 ? backlog.slice() : backlog.slice(0, end)
}
