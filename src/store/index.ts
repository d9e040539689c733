/** What the author of a store for another database needs. `policyStoreContract` (`portcullis/testing`) tests the result. */
export { ConfigError, PolicyError, RevisionConflict, UnavailableError, UnreadableError } from '../errors.ts'
export type { PolicyIssue } from '../errors.ts'
export type { ListEntry } from '../list/entry.ts'
export type { ListFormat } from '../list/format.ts'
export { checkedEntries, checkListName } from '../list/pieces.ts'
export { originIndexKeys } from '../match/origin.ts'
export { isAppId, isListName } from '../names.ts'
export type { Policy } from '../policy/policy.ts'
export { parseNote, type ChangeNote } from './change-note.ts'
export type {
  AppDocument,
  AppKey,
  AppPage,
  AppRevision,
  ListedApp,
  ListedKey,
  ManagedPolicyStore,
  PolicyStore,
  StoredApp,
  StoreListener,
  WriteCheck,
  WriteOptions,
} from './contract.ts'
export { MAX_APPS_PER_ENTRY } from './domains.ts'
export type { KeyChanges, KeyLimits } from './key-changes.ts'
export { keyFingerprints, lintKeys, sharedKeyIssue } from './key-owners.ts'
export { isUse, listKeys } from './key-uses.ts'
export type { ListStore, ListSummary, StoredList } from './list-contract.ts'
export { createListeners, type Listeners } from './listeners.ts'
export {
  askCheck,
  checkHistoryPage,
  checkListPage,
  checkRemoval,
  KEPT_REVISIONS,
  parseDocument,
} from './records.ts'
export { createSealing, type Sealing } from './sealing.ts'
