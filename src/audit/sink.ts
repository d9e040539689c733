import type { AuditEvent } from './event.ts'

/** Where audit events go. */
export interface AuditSink {
  /** Returns, or resolves, when all events are kept; throws or rejects when they are not. */
  write(events: readonly AuditEvent[]): void | Promise<void>
}
