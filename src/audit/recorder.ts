import { withDeadline } from '../deadline.ts'
import { UnavailableError } from '../errors.ts'
import { isThenable } from '../thenable.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './sink.ts'

export interface RecorderOptions {
  readonly sink: AuditSink
  /** How long the sink may take for one write, in milliseconds. Default 250. */
  readonly sinkTimeout?: number | undefined
  /** How many events may wait for a sink that fails; beyond it events are lost and counted. Default 10 000. */
  readonly maxBacklog?: number | undefined
  /** Told of every write that failed and of every loss, with how many events wait and how many were lost so far. */
  readonly onError?:
    ((error: Error, backlog: { readonly waiting: number; readonly lost: number }) => void) | undefined
  /** Spreads retries: a number from 0 up to 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** Stands between requests and a sink. */
export interface Recorder {
  /**
   * Has the events kept. Returns nothing when the sink took them at once; otherwise a promise that rejects with
   * `UnavailableError` when it did not take them in time. Those events wait and are sent again, in the order in which
   * they were recorded, until they are kept, so that each arrives at least once for as long as the process lives. At most
   * `maxBacklog` wait; the newest beyond it are lost, counted in `lost` and reported.
   */
  record(events: readonly AuditEvent[]): void | Promise<void>
  /** Whether events wait that the sink has not kept. While they do, `record` rejects and queues behind them. */
  readonly failing: boolean
  /** How many events were given up, because the backlog was full or the recorder closed. */
  readonly lost: number
  /** Resolves when all events recorded so far are kept; rejects with `UnavailableError` when the sink refuses them again. */
  flush(): Promise<void>
  /** The same, and the end: nothing is recorded or sent again after it. */
  close(): Promise<void>
}

/** The events of one call, in its place among the others. */
interface Batch {
  readonly place: number
  readonly events: readonly AuditEvent[]
}

/** Milliseconds to the first retry; each further one takes twice as long, up to the last. */
const FIRST_RETRY = 100
const LAST_RETRY = 2_000
/** How many events one retry sends, about. */
const RETRY_SIZE = 256

/** Makes a recorder. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { sink, sinkTimeout = 250, maxBacklog = 10_000, onError, random = Math.random } = options
  const inFlight = new Set<Promise<void>>()
  let backlog: Batch[] = []
  let waiting = 0
  let lost = 0
  let nextPlace = 0
  let retryAfter = FIRST_RETRY
  let timer: NodeJS.Timeout | undefined
  let draining: Promise<void> | undefined
  let closed = false

  function record(events: readonly AuditEvent[]): void | Promise<void> {
    if (events.length === 0) return undefined
    if (closed) {
      lost += events.length
      const closing = new UnavailableError('the recorder is closed, and events are lost')
      report(closing)
      return Promise.reject(closing)
    }
    const batch: Batch = { place: nextPlace++, events }
    // Behind a backlog events queue up, so that they arrive in order.
    if (backlog.length > 0) {
      keep(batch)
      return Promise.reject(new UnavailableError('earlier events still wait for the sink'))
    }
    let written: Promise<unknown> | undefined
    try {
      written = write(events)
    } catch (error) {
      return Promise.reject(failed(batch, error))
    }
    if (written === undefined) return undefined
    // A write may still end well after we have given it up. Then it need not be sent again.
    written.then(
      () => forget([batch]),
      () => undefined,
    )
    const recorded: Promise<void> = withDeadline(written, sinkTimeout, 'the sink').then(
      () => undefined,
      (error: unknown) => {
        throw failed(batch, error)
      },
    )
    const settled = (): void => void inFlight.delete(recorded)
    inFlight.add(recorded)
    recorded.then(settled, settled)
    return recorded
  }

  /** Nothing when the sink has taken the events at once. */
  function write(events: readonly AuditEvent[]): Promise<unknown> | undefined {
    const returned: unknown = sink.write(events)
    return isThenable(returned) ? Promise.resolve(returned) : undefined
  }

  function failed(batch: Batch, cause: unknown): UnavailableError {
    keep(batch)
    report(cause)
    return new UnavailableError('the sink did not keep the events', { cause })
  }

  function keep({ place, events }: Batch): void {
    const kept = events.slice(0, Math.max(0, maxBacklog - waiting))
    if (kept.length < events.length) {
      lost += events.length - kept.length
      report(new UnavailableError('the backlog of the audit is full, and events are lost'))
    }
    if (kept.length === 0) return
    waiting += kept.length
    // Writes that were on their way together may fail in another order than they were recorded in.
    const behind = backlog.findLastIndex((other) => other.place < place)
    backlog.splice(behind + 1, 0, { place, events: kept })
    retryLater()
  }

  function forget(batches: readonly Batch[]): void {
    if (backlog.length === 0) return
    const places = new Set(batches.map(({ place }) => place))
    backlog = backlog.filter(({ place, events }) => {
      if (places.has(place)) waiting -= events.length
      return !places.has(place)
    })
  }

  function retryLater(): void {
    if (timer !== undefined || draining !== undefined || closed || backlog.length === 0) return
    // Spread, so that processes do not return to a sink together.
    timer = setTimeout(() => void drain().catch(() => undefined), retryAfter * (0.5 + random()))
    timer.unref()
  }

  /** Sends what waits until nothing does; rejects at the first failure. */
  function drain(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    draining ??= sendAll().finally(() => {
      draining = undefined
      retryLater()
    })
    return draining
  }

  async function sendAll(): Promise<void> {
    while (backlog.length > 0) {
      // After a retry in vain the oldest batch asks alone: a client with a queue of its own may keep what we send.
      const batches = retryAfter === FIRST_RETRY ? chunk(backlog) : backlog.slice(0, 1)
      try {
        const written = write(batches.flatMap(({ events }) => events))
        if (written !== undefined) await withDeadline(written, sinkTimeout, 'the sink')
      } catch (error) {
        retryAfter = Math.min(LAST_RETRY, retryAfter * 2)
        report(error)
        throw new UnavailableError('the sink did not keep the events', { cause: error })
      }
      retryAfter = FIRST_RETRY
      forget(batches)
    }
  }

  function report(cause: unknown): void {
    try {
      const error = cause instanceof Error ? cause : new UnavailableError('the sink failed')
      const returned: unknown = onError?.(error, { waiting, lost })
      if (isThenable(returned)) returned.then(undefined, () => undefined)
    } catch {
      // A listener must not harm a request.
    }
  }

  async function flush(): Promise<void> {
    await Promise.allSettled(inFlight)
    if (backlog.length > 0) await drain()
  }

  return {
    record,
    get failing() {
      return backlog.length > 0
    },
    get lost() {
      return lost
    },
    flush,
    async close() {
      try {
        await flush()
      } finally {
        closed = true
        clearTimeout(timer)
      }
    },
  }
}

/** The oldest batches, up to the size of a retry; one at least. */
function chunk(backlog: readonly Batch[]): readonly Batch[] {
  let size = 0
  const end = backlog.findIndex(({ events }, index) => (size += events.length) > RETRY_SIZE && index > 0)
  return end === -1 ? backlog.slice() : backlog.slice(0, end)
}
