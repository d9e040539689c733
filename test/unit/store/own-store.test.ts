import { randomBytes } from 'node:crypto'
import { describe, it } from '@jest/globals'
import {
  askCheck,
  checkHistoryPage,
  checkListPage,
  checkRemoval,
  createListeners,
  createSealing,
  isAppId,
  isUse,
  keyFingerprints,
  listKeys,
  originIndexKeys,
  parseDocument,
  parseNote,
  PolicyError,
  RevisionConflict,
  sharedKeyIssue,
  type AppKey,
  type AppRevision,
  type ChangeNote,
  type ManagedPolicyStore,
  type Policy,
} from 'portcullis/store'
import { policyStoreContract } from 'portcullis/testing'
import { createVault, type Vault } from 'portcullis/vault'

/** A database with tables and sequential transactions, like Postgres at the level `serializable`. */
class Database {
  apps: { app_id: string; revision: number; policy: string | null; keys: string | null }[] = []
  revisions: {
    app_id: string
    revision: number
    at: string
    note: string
    policy: string | null
    keys_changed: boolean
  }[] = []
  fingerprints: { print: string; app_id: string }[] = []
  origins: { entry: string; app_id: string }[] = []
  uses: { app_id: string; key_id: string; at: number }[] = []
  #last: Promise<unknown> = Promise.resolve()

  /** Runs the work exclusively. If it throws, its changes are rolled back. */
  transaction<T>(work: (tables: Database) => T): Promise<T> {
    const done = this.#last.then(() => {
      const before = Object.entries(this).map(([name, rows]) => [name, [...(rows as unknown[])]])
      try {
        return work(this)
      } catch (error) {
        Object.assign(this, Object.fromEntries(before))
        throw error
      }
    })
    this.#last = done.catch(() => undefined)
    return done
  }
}

interface Change {
  readonly appId: string
  readonly replaces: number
  readonly policy: Policy | undefined
  readonly keys: readonly AppKey[] | undefined
  readonly note: ChangeNote
}

/** A store that a user could write for another database. */
function databaseStore(database: Database, vault: Vault): ManagedPolicyStore {
  const sealing = createSealing(vault, 'databaseStore')
  const listeners = createListeners()
  const rowOf = (appId: string) => database.apps.find((row) => row.app_id === appId)

  function checkKeys(db: Database, appId: string, keys: readonly AppKey[]): void {
    const issues = keys.flatMap((key, index) => {
      const prints = keyFingerprints(vault, key)
      const owner = db.fingerprints.find((row) => prints.includes(row.print) && row.app_id !== appId)
      return owner === undefined ? [] : [sharedKeyIssue(index, owner.app_id)]
    })
    if (issues.length > 0) throw new PolicyError(issues)
  }

  function change({ appId, replaces, policy, keys, note }: Change): Promise<number> {
    return database
      .transaction((db) => {
        const before = db.apps.find((row) => row.app_id === appId)
        const actual = before?.policy == null ? 0 : before.revision
        if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
        const after = policy === undefined ? [] : keys
        if (after !== undefined) {
          checkKeys(db, appId, after)
          db.fingerprints = db.fingerprints.filter((row) => row.app_id !== appId)
          for (const key of after)
            db.fingerprints.push({ print: keyFingerprints(vault, key)[0] ?? '', app_id: appId })
        }
        const revision = (before?.revision ?? 0) + 1
        const text = policy === undefined ? null : JSON.stringify(policy)
        db.apps = db.apps.filter((row) => row.app_id !== appId)
        const sealed = after === undefined ? before?.keys : sealing.sealKeys(appId, after)
        db.apps.push({ app_id: appId, revision, policy: text, keys: sealed ?? null })
        db.origins = db.origins.filter((row) => row.app_id !== appId)
        for (const entry of policy?.domainProtect?.domains ?? []) db.origins.push({ entry, app_id: appId })
        db.revisions.push({
          app_id: appId,
          revision,
          at: new Date().toISOString(),
          note: sealing.sealNote(appId, note) ?? '',
          policy: text,
          keys_changed: after !== undefined,
        })
        return revision
      })
      .then((revision) => {
        listeners.tell((listener) => listener.changed(appId, revision))
        return revision
      })
  }

  async function read(appId: string) {
    const row = rowOf(appId)
    if (!isAppId(appId) || row?.policy == null) return undefined
    const keys = sealing.openKeys(appId, row.keys ?? undefined)
    return { policy: JSON.parse(row.policy) as unknown, revision: row.revision, keys }
  }

  return {
    read,
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async appsByOrigin(origin) {
      const entries = originIndexKeys(origin)
      return [
        ...new Set(database.origins.filter((row) => entries.includes(row.entry)).map((row) => row.app_id)),
      ]
    },
    async write(document, replaces, note, options) {
      const { policy, keys } = parseDocument(document)
      await askCheck(policy, options)
      return change({ appId: policy.appId, replaces, policy, keys, note: parseNote(note) })
    },
    async remove(appId, replaces, note) {
      checkRemoval(appId, replaces)
      if (replaces === 0 && rowOf(appId)?.policy == null) return
      await change({ appId, replaces, policy: undefined, keys: undefined, note: parseNote(note) })
    },
    async list(page) {
      const { after, limit } = checkListPage(page)
      const rows = database.apps
        .filter((row) => row.policy !== null && row.app_id > after)
        .sort((a, b) => (a.app_id < b.app_id ? -1 : 1))
      const apps = rows.slice(0, limit).map((row) => ({
        appId: row.app_id,
        revision: row.revision,
        policy: JSON.parse(row.policy ?? '') as unknown,
      }))
      return { apps, next: rows.length > limit ? apps.at(-1)?.appId : undefined }
    },
    async history(appId, page) {
      const { before, limit } = checkHistoryPage(page)
      return database.revisions
        .filter((row) => row.app_id === appId && row.revision < before)
        .slice(-limit)
        .reverse()
        .map((row): AppRevision => ({
          revision: row.revision,
          at: row.at,
          ...(row.note === '' ? {} : sealing.openNote(appId, row.note)),
          policy: row.policy === null ? undefined : (JSON.parse(row.policy) as unknown),
          keysChanged: row.keys_changed,
        }))
    },
    async keys(appId) {
      const stored = await read(appId)
      const at = (keyId: string) =>
        database.uses.findLast((row) => row.app_id === appId && row.key_id === keyId)?.at
      return stored && listKeys(stored.keys, at)
    },
    async noteKeyUse(appId, keyId, at) {
      if (isUse(at)) database.uses.push({ app_id: appId, key_id: keyId, at })
    },
  }
}

policyStoreContract('a store of a user in a database', { describe, it }, async () => ({
  store: databaseStore(new Database(), createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })),
  dispose: () => undefined,
}))
