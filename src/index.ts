export { memoryAuditSink, type MemoryAuditSink, type MemoryAuditSinkOptions } from './audit/memory-sink.ts'
export type { AuditSink } from './audit/sink.ts'
export type { AuditEvent, FieldEvent, OperationEvent } from './audit/event.ts'
export { auditAccess, type AuditAccessOptions } from './http/audit-access.ts'
export { appIdFrom, type AppIdPlace } from './http/app-id.ts'
export type { AuthorityOption } from './http/authority.ts'
export { bodyParsers, type BodyParsersOptions } from './http/body-parsers.ts'
export { domainProtect, type DomainProtectOptions } from './http/domain-protect.ts'
export { explain, type Explanation, type RequestDescription } from './http/explain.ts'
export { ipWhitelist, type IpWhitelistOptions } from './http/ip-whitelist.ts'
export { protect, type ProtectOptions } from './http/protect.ts'
export { regionPin, type RegionPinOptions } from './http/region-pin.ts'
export { returnUrlGuard, type ReturnUrlGuardOptions } from './http/return-url-guard.ts'
export { serverOnly, type ServerOnlyOptions } from './http/server-only.ts'
export type { PortcullisContext, RegionContext, AuditContext } from './http/context.ts'
export type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from './http/request.ts'
export type { SharedOptions } from './http/shell.ts'

export {
  createPolicySource,
  type PolicySource,
  type PolicySourceOptions,
  type PolicySourceStatus,
} from './source/index.ts'
export {
  diskSnapshot,
  type DiskSnapshotOptions,
  type PolicySnapshot,
  type SnapshotEntry,
} from './snapshot.ts'
export { fileStore, type FileStore, type FileStoreOptions } from './store/file.ts'
export { memoryStore } from './store/memory.ts'
export { changeKeys, type KeyChanges, type KeyLimits } from './store/key-changes.ts'
export { rollbackPolicy, type RollbackOptions } from './store/rollback.ts'
export type {
  AppDocument,
  AppPage,
  AppRevision,
  ChangeNote,
  ListedApp,
  ListedKey,
  ManagedPolicyStore,
  PolicyStore,
  StoredApp,
  StoreListener,
} from './store/contract.ts'
export type { ListStore, ListSummary, StoredList } from './store/lists.ts'
export {
  httpMessageSignatures,
  type HttpMessageSignaturesOptions,
} from './signature/http-message-signatures.ts'
export type { MessageParts } from './signature/base.ts'
export type { Content } from './signature/digest.ts'
export type { Diagnosis, DiagnosisOptions } from './signature/doctor.ts'
export type { SchemeContext, SignatureScheme } from './signature/scheme.ts'
export type { Rejected, SignatureRules, SignedMessage, Verified } from './signature/verify.ts'
export { memoryNonces, type NonceStore } from './signature/nonces.ts'
export type { AppKey, VerifierKey } from './signature/keys.ts'

export {
  diffPolicies,
  formatList,
  lintPolicy,
  parseList,
  parsePolicy,
  scorePolicy,
  type ListEntry,
  type ListFormat,
  type PolicyChange,
  type PolicyFinding,
  type PolicyScore,
} from './policy/index.ts'
export type * from './policy/policy.ts'
export { DENIALS } from './decision.ts'
export type {
  Allowance,
  Decision,
  DenialCode,
  Effect,
  Evidence,
  GuardName,
  Mode,
  Refusal,
} from './decision.ts'
export {
  ConfigError,
  isPortcullisError,
  PolicyError,
  RevisionConflict,
  UnavailableError,
  UnreadableError,
} from './errors.ts'
export type { PolicyIssue } from './errors.ts'
export { DEFAULT_JURISDICTIONS, type Jurisdiction, type Jurisdictions } from './region/jurisdictions.ts'
export type { ClientAddressOptions } from './match/client-address.ts'
