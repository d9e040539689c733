import type { AuditEvent } from '../event.ts'
import type { AuditSink } from '../sink.ts'

/** How an audit log is doing. */
export interface AuditLogStatus {
  /** The name of this process in the log. */
  readonly writer: string
  /** How many events wait that are neither in the spool nor in the store, as the mode asks. */
  readonly waiting: number
  /** How full the queue is, from 0 to 1. At 1 events are refused. */
  readonly queueRatio: number
  /** How many events the store has not acknowledged. */
  readonly unstored: number
  readonly spoolBytes: number
  readonly storeFailing: boolean
  readonly spoolFailing: boolean
}

/** A sink that keeps events in frames. */
export interface AuditLog extends AuditSink {
  /** Resolves when the events are kept as the mode says; at once in the mode `async`. */
  write(events: readonly AuditEvent[]): void | Promise<void>
  /**
   * Resolves when the store has all events that were written so far.
   *
   * @throws UnavailableError (as a rejection) when it does not take them within five seconds; they go on waiting.
   */
  flush(): Promise<void>
  /**
   * The same, and the end: call it when no more events come. What the store has not taken stays in the spool, and the next
   * process that uses the directory sends it.
   *
   * @throws UnavailableError (as a rejection) when there are events that neither the store nor the spool has: they are lost.
   */
  close(): Promise<void>
  status(): AuditLogStatus
}
