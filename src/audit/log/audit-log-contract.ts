import type { AuditEvent } from '../event.ts'
import type { AuditSink } from '../sink.ts'

/** The state of an audit log. */
export interface AuditLogStatus {
  /** The name of this process in the log. */
  readonly writer: string
  /** How many events are not yet kept as `mode` requires. */
  readonly waiting: number
  /** How full the queue is, from 0 to 1. At 1, new events are refused. */
  readonly queueRatio: number
  /** How many events the store has not acknowledged. */
  readonly unstored: number
  readonly spoolBytes: number
  readonly storeFailing: boolean
  readonly spoolFailing: boolean
}

/** A sink that keeps events in frames. */
export interface AuditLog extends AuditSink {
  /** Resolves when the events are kept as `mode` requires; in the mode `async` it returns at once. */
  write(events: readonly AuditEvent[]): void | Promise<void>
  /** Throws while events are not kept as `mode` requires: the queue is full, or the store or the spool fails. */
  check(): void
  /**
   * Resolves when the store has all events that were written so far.
   *
   * @throws UnavailableError (as a rejection) if the store does not accept them within five seconds; they stay queued.
   */
  flush(): Promise<void>
  /**
   * Like `flush`, and closes the log: call it when no more events will follow. Events that the store has not accepted stay in the
   * spool. The next process that uses the directory sends them.
   *
   * @throws UnavailableError (as a rejection) if neither the store nor the spool has some of the events: these are lost.
   */
  close(): Promise<void>
  status(): AuditLogStatus
}
