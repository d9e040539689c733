import type { AuditEvent } from './event.ts'

/** Receives audit events. */
export interface AuditSink {
  /** Returns or resolves when all events are stored; throws or rejects if they are not. */
  write(events: readonly AuditEvent[]): void | Promise<void>
  /** Throws or rejects while events cannot be stored, and stores none itself. `createReadiness` asks it. */
  check?(): void | Promise<void>
  /** Resolves when everything written so far is in its final place. `flush()` of `auditAccess` waits for it. */
  flush?(): Promise<void>
  /** Closes the sink. `close()` of `auditAccess` calls it; if several handlers share the sink, the last one does. */
  close?(): Promise<void>
}
