/** What an author of a sink for audit events, or of a program that reads them, needs. */
export type { AuditEvent, FieldEvent, OperationEvent, OutcomeEvent } from './event.ts'
export { parseEvent, serialiseEvent } from './line.ts'
export { readEvents } from './reader.ts'
export type { AuditSink } from './sink.ts'
