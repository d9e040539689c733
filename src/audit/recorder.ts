import { UnavailableError } from '../errors.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './sink.ts'

export interface RecorderOptions {
  readonly sink: AuditSink
  /** How long the sink may take for one write, in milliseconds. Default 250. */
  readonly sinkTimeout?: number | undefined
  /** How many events may wait for a sink that fails; beyond it events are lost and counted. Default 10 000. */
  readonly maxBacklog?: number | undefined
  /** Told of every write that failed, with how many events wait and how many were lost so far. */
  readonly onError?:
    ((error: Error, backlog: { readonly waiting: number; readonly lost: number }) => void) | undefined
}

/** Stands between requests and a sink. */
export interface Recorder {
  /**
   * Has the events kept. Returns nothing when the sink took them at once; otherwise a promise that rejects with
   * `UnavailableError` when it did not take them in time. Those events wait and are sent again until they are kept, so
   * that each arrives at least once, for as long as the process lives and the backlog has room.
   */
  record(events: readonly AuditEvent[]): void | Promise<void>
  /** Whether events wait that the sink has refused. */
  readonly failing: boolean
}

const FIRST_RETRY = 100
const LAST_RETRY = 5_000

/** Makes a recorder. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { sink, sinkTimeout = 250, maxBacklog = 10_000, onError } = options
  const backlog: AuditEvent[] = []
  let lost = 0
  let retryAfter = FIRST_RETRY
  let retrying = false

  function record(events: readonly AuditEvent[]): void | Promise<void> {
    // Behind a backlog events queue up, so that they arrive in order.
    if (backlog.length > 0)
      return Promise.reject(keep(events, new UnavailableError('the sink keeps no events now')))
    let written: void | Promise<void>
    try {
      written = sink.write(events)
    } catch (error) {
      return Promise.reject(keep(events, error))
    }
    if (!(written instanceof Promise)) return undefined
    return withDeadline(written).catch((error: unknown) => {
      throw keep(events, error)
    })
  }

  function keep(events: readonly AuditEvent[], cause: unknown): UnavailableError {
    const room = maxBacklog - backlog.length
    backlog.push(...events.slice(0, room))
    lost += Math.max(0, events.length - room)
    report(cause)
    retryLater()
    return new UnavailableError('the sink did not keep the events', { cause })
  }

  function report(cause: unknown): void {
    try {
      const error = cause instanceof Error ? cause : new UnavailableError('the sink failed')
      onError?.(error, { waiting: backlog.length, lost })
    } catch {
      // A listener must not harm a request.
    }
  }

  function retryLater(): void {
    if (retrying || backlog.length === 0) return
    retrying = true
    // Spread, so that processes do not return to a sink together.
    setTimeout(() => void retry(), retryAfter * (0.5 + Math.random())).unref()
  }

  async function retry(): Promise<void> {
    const batch = backlog.slice(0, 256)
    try {
      await withDeadline(Promise.resolve(sink.write(batch)))
      backlog.splice(0, batch.length)
      retryAfter = backlog.length > 0 ? 0 : FIRST_RETRY
    } catch (error) {
      retryAfter = Math.min(LAST_RETRY, Math.max(FIRST_RETRY, retryAfter * 2))
      report(error)
    }
    retrying = false
    retryLater()
  }

  function withDeadline(promise: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new UnavailableError(`the sink gave no answer within ${sinkTimeout} ms`))
      const timer = setTimeout(late, sinkTimeout)
      promise.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  return {
    record,
    get failing() {
      return backlog.length > 0
    },
  }
}
