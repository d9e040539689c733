import { ConfigError, PolicyError, wrongOption } from '../errors.ts'
import { isAppId } from '../names.ts'
import { unknownOption } from '../options.ts'
import type { PolicyInput } from '../policy/policy.ts'
import { checkOneProcess } from '../several-processes.ts'
import type { AppKey } from '../signature/keys.ts'
import { parseNote } from './change-note.ts'
import type { ManagedPolicyStore, StoredApp } from './contract.ts'
import { createDomainIndex } from './domains.ts'
import { createListeners } from './listeners.ts'
import { KeyOwners } from './key-owners.ts'
import { isUse, listKeys } from './key-uses.ts'
import type { ListStore } from './list-contract.ts'
import { createMemoryLists } from './memory-lists.ts'
import {
  askCheck,
  changedRecord,
  checkRemoval,
  historyOf,
  listRecords,
  namingPolicy,
  parseDocument,
  type AppRecord,
  type Change,
} from './records.ts'

/** An app that a {@link memoryStore} has from the beginning, as revision 1. */
export interface InitialApp {
  /** As its owner writes it, or as `parsePolicy` returns it. The store parses it. */
  readonly policy: PolicyInput
  /** Left out: the app has no keys. */
  readonly keys?: readonly AppKey[] | undefined
}

/**
 * The embedded store: keeps documents in the memory of this process, and loses them when it ends. `documents` are the initial
 * apps. To use a policy of unknown origin, such as parsed JSON, pass it through `parsePolicy`.
 *
 * @throws PolicyError if a document or its keys are refused, or two documents have the same app id.
 * @throws ConfigError if `documents` is not an array of `{ policy, keys? }`, or two apps have the same key (id and secret).
 */
export function memoryStore(documents: readonly InitialApp[] = []): ManagedPolicyStore & ListStore {
  const records = new Map<string, AppRecord>()
  const domains = createDomainIndex()
  const listeners = createListeners()
  const uses = new Map<string, Map<string, number>>()
  const owners = new KeyOwners()
  checkDocuments(documents)
  for (const [index, document] of documents.entries()) {
    const place = `\`documents[${index}]\` of \`memoryStore\``
    const named = isAppId(document.policy?.appId) ? document.policy.appId : undefined
    const { policy, keys = [] } = namingPolicy({ appId: named, place }, () => parseDocument(document))
    const { appId } = policy
    if (records.has(appId)) {
      const message = `an earlier document also has the app id \`${appId}\`; give each app one document`
      throw new PolicyError([{ path: 'appId', message }], 'policy', { appId, place })
    }
    namingDocument(index, appId, () => change({ appId, replaces: 0, policy, keys, note: {} }))
  }

  function change(what: Change): number {
    const before = records.get(what.appId)
    const after = changedRecord(before, what)
    const keys = after.app?.keys ?? []
    owners.check(what.appId, keys)
    owners.replace(what.appId, before?.app?.keys ?? [], keys)
    domains.follow(before?.app?.policy, after.app?.policy)
    records.set(what.appId, after)
    for (const keyId of uses.get(what.appId)?.keys() ?? [])
      if (!hasKey(what.appId, keyId)) uses.get(what.appId)?.delete(keyId)
    listeners.tell((listener) => listener.changed(what.appId, after.revision))
    return after.revision
  }

  function hasKey(appId: string, keyId: string): boolean {
    return records.get(appId)?.app?.keys.some(({ id }) => id === keyId) === true
  }

  const lists = createMemoryLists((name, revision) =>
    listeners.tell((listener) => listener.listChanged?.(name, revision)),
  )

  return {
    ...lists,
    async read(appId): Promise<StoredApp | undefined> {
      const record = records.get(appId)
      return record?.app && { ...record.app, revision: record.revision }
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async appsByOrigin(origin) {
      return domains.find(origin)
    },
    async write(document, replaces, note, options) {
      // The initial documents are the same in every process. Later writes are not.
      checkOneProcess()
      const { policy, keys } = parseDocument(document)
      if (options !== undefined) await askCheck(policy, options)
      return change({ appId: policy.appId, replaces, policy, keys, note: parseNote(note) })
    },
    async remove(appId, replaces, note) {
      checkRemoval(appId, replaces)
      // There is no app, and the caller expected none.
      if (replaces === 0 && records.get(appId)?.app === undefined) return
      change({ appId, replaces, note: parseNote(note) })
    },
    async list(page) {
      return listRecords(records, page)
    },
    async history(appId, page) {
      return historyOf(records.get(appId), page)
    },
    async keys(appId) {
      const app = records.get(appId)?.app
      return app && listKeys(app.keys, (keyId) => uses.get(appId)?.get(keyId))
    },
    async noteKeyUse(appId, keyId, at) {
      if (!isUse(at) || !hasKey(appId, keyId)) return
      if (!uses.has(appId)) uses.set(appId, new Map())
      uses.get(appId)?.set(keyId, at)
    },
  }
}

/** Includes the members of an app as returned by a store. */
const MEMBERS: readonly string[] = ['policy', 'keys', 'revision', 'version']

/** @throws ConfigError that says how to write the documents correctly. */
function checkDocuments(given: unknown): void {
  const expected = 'an array of `{ policy, keys? }`'
  const wrap = (inner: string): string => `write \`memoryStore([${inner}])\``
  if (!Array.isArray(given)) {
    const advice = looksLike(given, 'policy')
      ? `: ${wrap('{ policy, … }')}`
      : looksLike(given, 'appId')
        ? `: ${wrap('{ policy: … }')}`
        : undefined
    throw refused('memoryStore documents', expected, given, advice)
  }
  for (const [index, document] of given.entries()) {
    if (looksLike(document, 'policy')) {
      const unknown = Object.keys(document as object).find((name) => !MEMBERS.includes(name))
      if (unknown === undefined) continue
      throw new ConfigError([unknownOption(`memoryStore documents[${index}]`, unknown, ['policy', 'keys'])])
    }
    const advice = looksLike(document, 'appId')
      ? `: this looks like the policy itself, so ${wrap('{ policy: … }')}`
      : undefined
    throw refused(`memoryStore documents[${index}]`, 'an object `{ policy, keys? }`', document, advice)
  }
}

function looksLike(value: unknown, member: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, member)
}

function refused(option: string, expected: string, given: unknown, advice?: string): ConfigError {
  return new ConfigError([wrongOption(option, expected, given, advice)])
}
/** @throws ConfigError in place of a `PolicyError`, with the index of the document that shares its key. */
function namingDocument(index: number, appId: string, begin: () => void): void {
  try {
    begin()
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    const [{ path, message } = { path: '', message: '' }] = error.issues
    const option = `memoryStore documents[${index}].${path}`
    const expected = `a key that only app \`${appId}\` has`
    const said = `\`${option}\` of app \`${appId}\` ${message}`
    throw new ConfigError([{ code: 'OPTION_INVALID', option, expected, message: said }])
  }
}
