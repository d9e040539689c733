/** What the author of a sink for audit events, or of a program that reads them, needs. */
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
export type { JudgedKey } from './judged-facts.ts'
export { sealKnex, sealMongoose, sealPg, sealPrisma } from './adapters.ts'
export type { ModelNames, PgQuery, PrismaExtension, RowSealer } from './adapters.ts'
export { parseEvent, serialiseEvent } from './line.ts'
export { readEvents } from './reader.ts'
export type { AuditSink } from './sink.ts'
export { auditLog } from './log/audit-log.ts'
export type { AuditLog, AuditLogStatus } from './log/audit-log-contract.ts'
export type { AuditLogMode, AuditLogOptions, SpoolPlace } from './log/audit-log-options.ts'
export { linesOf, readFrame, type Frame } from './log/frame.ts'
export type { FrameStore, FrameToStore, StoredFrame } from './log/frame-store.ts'
export { memoryFrames, type MemoryFrames, type MemoryFramesOptions } from './log/memory-frames.ts'
export { memoryPeople } from '../vault/memory-people.ts'
export { people, type People, type PeopleOptions, type PeopleStore } from './people/people.ts'
export { framesOf } from './log/frames-of.ts'
export type { LogStart } from './log/log-start.ts'
export { inclusionProof, leafHash, merkleRoot, rootOfInclusion } from './log/merkle.ts'
export { readCheckpoint, signCheckpoint, type Checkpoint } from './proof/checkpoint.ts'
export { parseVerifierKey, verifierKey, type NoteKey } from './proof/note.ts'
export {
  checkpointFile,
  checkpointsToStdout,
  readCheckpointFile,
  type PublishCheckpoint,
} from './proof/publishers.ts'
export { createSealer, type Sealer, type SealerOptions } from './proof/sealer.ts'
export {
  verifyLog,
  type LogProblem,
  type LogProblemCode,
  type LogReport,
  type VerifyOptions,
} from './proof/verify.ts'
export {
  createAuditReader,
  type AuditPage,
  type AuditPageOptions,
  type AuditReader,
  type AuditReaderOptions,
  type FoundEvent,
} from './reading/reader.ts'
export {
  recentLogEvents,
  type FindRecentEvents,
  type RecentEvents,
  type RecentEventsOptions,
  type RecentEventsQuery,
} from './reading/recent-events.ts'
export type { AuditQuery } from './reading/query.ts'
export { printSubjectReport, type SubjectAccess, type SubjectReport } from './reading/subject-report.ts'
export { archivedFrames } from './retention/archive.ts'
export { erasePeople, searchTraces, type Erased, type EraseOptions, type Trace } from './retention/erase.ts'
export { retainLog, type Retained, type RetainOptions } from './retention/retain.ts'
export { otlpLogs, webhook, type OtlpLogsOptions, type WebhookOptions } from './export/destinations.ts'
export { kafka, type KafkaOptions, type KafkaProducer } from './export/kafka.ts'
export {
  createExporter,
  type CursorStore,
  type Destination,
  type Exporter,
  type ExporterOptions,
} from './export/exporter.ts'
export {
  exportLine,
  fromOcsf,
  toCloudEvent,
  toOcsf,
  toOtlpRecord,
  type ExportFormat,
} from './export/mapping.ts'
