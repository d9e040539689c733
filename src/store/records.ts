import { PolicyError, RevisionConflict, type RefusedDocument } from '../errors.ts'
import { aFunction, checkOptions, wholeNumber } from '../options.ts'
import { isAppId } from '../names.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { Policy } from '../policy/policy.ts'
import { parseAppKeys, type AppKey } from '../signature/keys.ts'
import type {
  AppDocument,
  AppPage,
  AppRevision,
  ChangeNote,
  ManagedPolicyStore,
  WriteOptions,
} from './contract.ts'

/** How many revisions of an app a store keeps for its history. */
export const KEPT_REVISIONS = 100

/** Everything stored about one app, even if it was removed. */
export interface AppRecord {
  /** Continues after a removal, so that no revision is used twice. */
  readonly revision: number
  readonly app: { readonly policy: Policy; readonly keys: readonly AppKey[] } | undefined
  /** The newest last. */
  readonly history: readonly AppRevision[]
}

/** The effect of one write on an app. */
export interface Change {
  readonly appId: string
  readonly replaces: number
  /** Left out: the app is removed. */
  readonly policy?: Policy | undefined
  /** Left out: they stay as they are. */
  readonly keys?: readonly AppKey[] | undefined
  readonly note: ChangeNote
}

/** @throws RevisionConflict */
export function changedRecord(before: AppRecord | undefined, change: Change): AppRecord {
  const { appId, replaces, policy, keys, note } = change
  const actual = before?.app === undefined ? 0 : before.revision
  if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
  const revision = (before?.revision ?? 0) + 1
  const keysChanged = policy === undefined || keys !== undefined
  const entry = Object.freeze({ revision, at: new Date().toISOString(), ...note, policy, keysChanged })
  return {
    revision,
    app: policy && { policy, keys: keys ?? before?.app?.keys ?? [] },
    history: [...(before?.history ?? []), entry].slice(-KEPT_REVISIONS),
  }
}

/**
 * Parses the policy and copies the keys of a document.
 *
 * @throws PolicyError
 */
export function parseDocument(document: AppDocument): {
  readonly policy: Policy
  readonly keys: readonly AppKey[] | undefined
} {
  // Own members only, because inherited ones are not part of the document.
  const own = Object.assign(Object.create(null), document) as AppDocument
  const policy = parsePolicy(own.policy)
  if (own.keys === undefined) return { policy, keys: undefined }
  namingPolicy({ appId: policy.appId }, () => {
    parseAppKeys(own.keys)
  })
  return { policy, keys: Object.freeze(own.keys.map((key) => Object.freeze({ ...key }))) }
}

/** @throws PolicyError that names the document, in place of one that does not */
export function namingPolicy<Result>(document: RefusedDocument, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    throw error instanceof PolicyError ? new PolicyError(error.issues, 'policy', document) : error
  }
}

/**
 * Calls the check that was passed with a write, if any. Call it with the result of `parseDocument`, before anything is written.
 *
 * @throws ConfigError (as a rejection) if the options are refused; otherwise what the check throws.
 */
export async function askCheck(policy: Policy, options: WriteOptions | undefined): Promise<void> {
  if (options === undefined) return
  const { check } = checkOptions<WriteOptions>('write', options, { check: aFunction })
  await check?.(policy)
}

/** @throws RevisionConflict if this cannot be the id of an app. */
export function checkRemoval(appId: unknown, replaces: number): asserts appId is string {
  if (!isAppId(appId)) throw new RevisionConflict(String(appId), replaces, 0)
}

const PAGE_SIZE = 100
const limit = wholeNumber('entries', 1, 1_000)

/** @throws ConfigError */
export function checkListPage(page: Parameters<ManagedPolicyStore['list']>[0] = {}): {
  readonly after: string
  readonly limit: number
} {
  const after = { expected: 'a string', accepts: (value: unknown) => typeof value === 'string' }
  const checked = checkOptions<NonNullable<typeof page>>('list', page, { after, limit })
  return { after: checked.after ?? '', limit: checked.limit ?? PAGE_SIZE }
}

/** @throws ConfigError */
export function checkHistoryPage(page: Parameters<ManagedPolicyStore['history']>[1] = {}): {
  readonly before: number
  readonly limit: number
} {
  const before = wholeNumber('revisions', 1)
  const checked = checkOptions<NonNullable<typeof page>>('history', page, { before, limit })
  return { before: checked.before ?? Number.MAX_SAFE_INTEGER, limit: checked.limit ?? PAGE_SIZE }
}

/** One page of the existing apps. */
export function listRecords(
  records: ReadonlyMap<string, AppRecord>,
  page: Parameters<ManagedPolicyStore['list']>[0],
): AppPage {
  const { after, limit: most } = checkListPage(page)
  const ids = [...records.keys()].filter((appId) => appId > after && records.get(appId)?.app !== undefined)
  const apps = ids
    .sort()
    .slice(0, most)
    .map((appId) => {
      const { revision, app } = records.get(appId) as AppRecord
      return { appId, revision, policy: app?.policy }
    })
  return { apps, next: ids.length > most ? apps.at(-1)?.appId : undefined }
}

/** One page of the history of an app. */
export function historyOf(
  record: AppRecord | undefined,
  page: Parameters<ManagedPolicyStore['history']>[1],
): readonly AppRevision[] {
  const { before, limit: most } = checkHistoryPage(page)
  return (record?.history ?? [])
    .filter(({ revision }) => revision < before)
    .slice(-most)
    .reverse()
}
