export type { JobOptions } from './audit/job.ts'
export type { PersonalModel, PersonalModels } from './audit/models.ts'
export type { AuditEvent } from './audit/event.ts'
export { memoryAuditSink, type MemoryAuditSink } from './audit/memory-sink.ts'
export { appIdFrom } from './http/request/app-id.ts'
export { bodyParsers } from './http/request/body-parsers.ts'
export { keepBody } from './http/request/hand-over.ts'
export type { Comparison } from './explain/comparisons.ts'
export { comparePolicies, compareStoredPolicies } from './explain/compare-policies.ts'
export { checkExpectations, tryExpectations, type ExpectationOutcome } from './explain/expectations.ts'
export { explain, type Explanation } from './explain/explain.ts'
export {
  rejudge,
  type JudgedDifference,
  type NotJudged,
  type RejudgeOptions,
  type RejudgeReport,
} from './explain/rejudge.ts'
export type { RequestDescription } from './http/described-request.ts'
export * from './http/guards.ts'
export { guardUpgrade } from './http/guard-upgrade.ts'
export { protect } from './http/protect.ts'
export { protectServer, type ProtectedApp, type ProtectedServer } from './http/protect-server.ts'
export { safeRedirect } from './http/response/safe-redirect.ts'
export type { PortcullisContext } from './http/portcullis.ts'
export type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from './http/handler.ts'
export type { RefusalLine } from './http/console-line.ts'
export type { DecisionContext, SharedOptions } from './http/shared-options.ts'

export {
  createPolicySource,
  type PolicySource,
  type PolicySourceOptions,
  type PolicySourceStatus,
} from './source/index.ts'
export { diskSnapshot } from './source/disk-snapshot.ts'
export type { PolicySnapshot, SnapshotEntry } from './source/snapshot.ts'
export { fileStore, type FileStore } from './store/file/store.ts'
export { memoryStore, type InitialApp } from './store/memory.ts'
export { changeKeys } from './store/key-changes.ts'
export { rollbackPolicy } from './store/rollback.ts'
export type { ManagedPolicyStore, WriteCheck } from './store/contract.ts'
export type { ListStore } from './store/list-contract.ts'
export { httpMessageSignatures } from './signature/http-message-signatures.ts'
export type { SchemeContext, SignatureScheme } from './signature/scheme.ts'
export type { Rejected, SignedMessage, Verified } from './signature/verify.ts'
export { memoryNonces, type NonceStore, type SynchronousNonceStore } from './signature/nonces.ts'
export type { AppKey } from './signature/keys.ts'

export type { PolicyComparison, Witness } from './policy/compare/compare.ts'
export { diffPolicies, type PolicyChange } from './policy/diff.ts'
export type { Expectation } from './policy/expectation.ts'
export { formatList, parseList } from './list/format.ts'
export { lintList } from './lint/list.ts'
export { lintPolicy } from './policy/lint.ts'
export { parsePolicy } from './policy/parse.ts'
export { scorePolicy, type PolicyScore } from './policy/score.ts'
export type { ListEntry } from './list/entry.ts'
export type { PolicyFinding } from './lint/finding.ts'
export type { Policy, PolicyInput } from './policy/policy.ts'
export { DENIALS } from './decision.ts'
export type { Decision, DenialCode, GuardName, Mode, Refusal } from './decision.ts'
export {
  ConfigError,
  ExpectationBroken,
  isPortcullisError,
  PolicyError,
  PurposeRequired,
  RevisionConflict,
  UnavailableError,
  UnreadableError,
  UsageError,
} from './errors.ts'
export { DEFAULT_JURISDICTIONS, type Jurisdiction, type Jurisdictions } from './jurisdiction/jurisdictions.ts'
export type { ClientAddressOption } from './http/request/client-address.ts'
