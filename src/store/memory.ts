import { PolicyError, RevisionConflict } from '../errors.ts'
import { originIndexKeys } from '../match/origin.ts'
import { isAppId, parsePolicy, type Policy } from '../policy/index.ts'
import { parseAppKeys, type AppKey } from '../signature/keys.ts'
import type { AppDocument, ManagedPolicyStore, StoredApp } from './contract.ts'
import { createListeners } from './listeners.ts'

interface Slot {
  /** Counts on after a removal, so that a revision never comes twice. */
  revision: number
  app: { readonly policy: Policy; readonly keys: readonly AppKey[] } | undefined
}

/**
 * The embedded store: documents in the memory of this process, gone with it. Takes the documents to begin with.
 *
 * @throws PolicyError when a document or its keys are refused, or two documents are of one app.
 */
export function memoryStore(documents: readonly AppDocument[] = []): ManagedPolicyStore {
  const slots = new Map<string, Slot>()
  const appsByDomain = new Map<string, Set<string>>()
  const listeners = createListeners()
  for (const document of documents) {
    const { policy, keys } = parse(document)
    if (slots.has(policy.appId))
      throw new PolicyError([{ path: 'appId', message: 'two documents are of this app' }])
    slots.set(policy.appId, { revision: 1, app: { policy, keys: keys ?? [] } })
    index(undefined, policy)
  }

  /** Lets the index of origins follow from one policy of an app to the next. */
  function index(before: Policy | undefined, after: Policy | undefined): void {
    for (const domain of before?.domainProtect?.domains ?? []) {
      const apps = appsByDomain.get(domain)
      if (before !== undefined) apps?.delete(before.appId)
      if (apps?.size === 0) appsByDomain.delete(domain)
    }
    if (after === undefined) return
    for (const domain of after.domainProtect?.domains ?? []) {
      const apps = appsByDomain.get(domain) ?? new Set()
      appsByDomain.set(domain, apps.add(after.appId))
    }
  }

  function replace(appId: string, replaces: number, app: (current: Slot['app']) => Slot['app']): number {
    const slot = slots.get(appId) ?? { revision: 0, app: undefined }
    const actual = slot.app === undefined ? 0 : slot.revision
    if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
    const next = app(slot.app)
    index(slot.app?.policy, next?.policy)
    slots.set(appId, { revision: slot.revision + 1, app: next })
    listeners.tell((listener) => listener.changed(appId))
    return slot.revision + 1
  }

  return {
    async read(appId): Promise<StoredApp | undefined> {
      const slot = slots.get(appId)
      return slot?.app && { policy: slot.app.policy, revision: slot.revision, keys: slot.app.keys }
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async appsByOrigin(origin) {
      return [...new Set(originIndexKeys(origin).flatMap((domain) => [...(appsByDomain.get(domain) ?? [])]))]
    },
    async write(document, replaces) {
      const { policy, keys } = parse(document)
      return replace(policy.appId, replaces, (current) => ({ policy, keys: keys ?? current?.keys ?? [] }))
    },
    async remove(appId, replaces) {
      if (!isAppId(appId)) throw new RevisionConflict(String(appId), replaces, 0)
      // Nothing is there and nothing was expected: nothing happens.
      if (replaces === 0 && slots.get(appId)?.app === undefined) return
      replace(appId, replaces, () => undefined)
    },
  }
}

/** What may be stored: a policy that was parsed, and copies of keys that can be. */
function parse(document: AppDocument): { policy: Policy; keys: readonly AppKey[] | undefined } {
  const policy = parsePolicy(document.policy)
  if (document.keys === undefined) return { policy, keys: undefined }
  parseAppKeys(document.keys)
  return { policy, keys: Object.freeze(document.keys.map((key) => Object.freeze({ ...key }))) }
}
