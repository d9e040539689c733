/** What an author of a sink for audit events, or of a program that reads them, needs. */
export type {
  Action,
  ActionEvent,
  ActorKind,
  AuditEvent,
  FieldEvent,
  LeakEvent,
  ListEvent,
  OperationEvent,
  OutcomeEvent,
  PersonReads,
} from './event.ts'
export { createPseudonyms } from './event.ts'
export { sealKnex, sealMongoose, sealPg, sealPrisma } from './adapters.ts'
export type { ModelNames, PgQuery, PrismaExtension, RowSealer } from './adapters.ts'
export { parseEvent, serialiseEvent } from './line.ts'
export { readEvents } from './reader.ts'
export type { AuditSink } from './sink.ts'
