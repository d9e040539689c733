import type { AuditEvent } from './event.ts'

/** Where audit events go. */
export interface AuditSink {
  /** Returns, or resolves, when all events are kept; throws or rejects when they are not. */
  write(events: readonly AuditEvent[]): void | Promise<void>
  /** Resolves when everything that was kept so far is where it shall stay. `flush()` of `auditAccess` waits for it. */
  flush?(): Promise<void>
  /** The end. `close()` of `auditAccess` calls it, where several share the sink that of the last. */
  close?(): Promise<void>
}
