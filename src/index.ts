export { memoryAuditSink, type MemoryAuditSink, type MemoryAuditSinkOptions } from './audit/memory-sink.ts'
export type { AuditSink } from './audit/sink.ts'
export type { JobOptions } from './audit/job.ts'
export type { PersonalModel, PersonalModels } from './audit/models.ts'
export type { AuditEvent } from './audit/event.ts'
export { auditAccess, type AuditAccessHandler, type AuditAccessOptions } from './http/audit-access.ts'
export { appIdFrom, type AppIdPlace } from './http/request/app-id.ts'
export type { AuthorityOption } from './http/request/authority.ts'
export { bodyParsers, type BodyParsersOptions } from './http/request/body-parsers.ts'
export { keepBody } from './http/request/hand-over.ts'
export { domainProtect, type DomainProtectOptions } from './http/domain-protect.ts'
export type { Comparison } from './explain/comparisons.ts'
export { explain, type Explanation } from './explain/explain.ts'
export type { RequestDescription } from './explain/description.ts'
export { guardUpgrade, type GuardUpgradeOptions } from './http/guard-upgrade.ts'
export { ipWhitelist, type IpWhitelistOptions } from './http/ip-whitelist.ts'
export { protect, type ProtectOptions } from './http/protect.ts'
export { protectServer, type ProtectedApp, type ProtectedServer } from './http/protect-server.ts'
export { regionPin, type RegionPinOptions } from './http/region-pin.ts'
export { returnUrlGuard, type ReturnUrlGuardOptions } from './http/return-url-guard.ts'
export type { ReturnUrlPlace } from './http/request/return-url-places.ts'
export { safeRedirect, type SafeRedirectOptions } from './http/response/safe-redirect.ts'
export { serverOnly, type ServerOnlyOptions } from './http/server-only.ts'
export type { PortcullisContext, RegionContext, AuditContext } from './http/portcullis.ts'
export type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from './http/handler.ts'
export type { RefusalLine, RefusalLogger } from './http/console-line.ts'
export type { DecisionContext, SharedOptions } from './http/shared-options.ts'

export {
  createPolicySource,
  type PolicySource,
  type PolicySourceOptions,
  type PolicySourceStatus,
} from './source/index.ts'
export { diskSnapshot, type DiskSnapshotOptions } from './source/disk-snapshot.ts'
export type { PolicySnapshot, SnapshotEntry } from './source/snapshot.ts'
export { fileStore, type FileStore, type FileStoreOptions } from './store/file/store.ts'
export { memoryStore } from './store/memory.ts'
export { changeKeys, type KeyChanges, type KeyLimits } from './store/key-changes.ts'
export { lintKeys } from './store/key-owners.ts'
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
} from './store/contract.ts'
export type { ListStore, ListSummary } from './store/list-contract.ts'
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

export { diffPolicies, type PolicyChange } from './policy/diff.ts'
export { formatList, parseList, type ListFormat } from './list/format.ts'
export { lintList } from './lint/list.ts'
export { lintPolicy } from './lint/policy.ts'
export { parsePolicy } from './policy/parse.ts'
export { scorePolicy, type PolicyScore } from './lint/score.ts'
export type { ListEntry } from './list/entry.ts'
export type { PolicyFinding } from './lint/finding.ts'
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
  PurposeRequired,
  RevisionConflict,
  UnavailableError,
  UnreadableError,
  UsageError,
} from './errors.ts'
export type { ConfigIssue, PolicyIssue } from './errors.ts'
export { DEFAULT_JURISDICTIONS, type Jurisdiction, type Jurisdictions } from './jurisdiction/jurisdictions.ts'
export type { DifferingPart, EntryComparison } from './match/nearest.ts'
export type { ClientAddressOption } from './http/request/client-address.ts'
export type { ClientAddressOptions } from './match/client-address.ts'
