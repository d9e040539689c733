import type { Policy } from '../policy/policy.ts'
import type { AppKey } from '../signature/keys.ts'
import type { ChangeNote } from './change-note.ts'
import type { StoredList } from './list-contract.ts'

export type { AppKey, ChangeNote }

/** What a store holds for one app. */
export interface StoredApp {
  /** The policy document, not yet parsed. */
  readonly policy: unknown
  /** 1 for the first written policy, then one more for each write. */
  readonly revision: number
  readonly keys: readonly AppKey[]
  /**
   * Changes whenever the policy or the keys change; for example, a hash of the stored text. An app whose version has not changed is
   * not compiled again. Left out: the document is serialised to compare it.
   */
  readonly version?: string | undefined
}

/** Called by a store to report changes and the state of its change feed. */
export interface StoreListener {
  /** This app was written or removed, and is at this revision or a later one. */
  changed(appId: string, revision?: number): void
  /** This named list was written or removed, and is at this revision or a later one. */
  listChanged?(name: string, revision?: number): void
  /** Changes may be missed from now on. */
  broken(): void
  /**
   * The feed runs again. `complete`: every change since `broken` has been announced. Otherwise whatever was read before may
   * be out of date. Default false.
   */
  restored(complete?: boolean): void
  /**
   * The store has lost its data: it was written to, and now is empty or has the data of another store. A normal removal is not
   * meant. From now on "there is no such app" may be wrong.
   */
  emptied?(): void
}

/** The contract of a store. Only `read` is required. */
export interface PolicyStore {
  /**
   * The stored app, or `undefined` if there is no such app. Rejects if the store could not be read, and with `UnreadableError` if
   * the stored data cannot be used.
   */
  read(appId: string): Promise<StoredApp | undefined>
  /**
   * Reports every change to `listener`, starting before it returns, until the returned function is called. If the feed does not run
   * yet, it calls `broken` before it returns, and `restored` once the feed runs. One change may be announced more than once. A
   * store without it is read again at intervals.
   */
  watch?(listener: StoreListener): () => void
  /**
   * The ids of the apps whose `domainProtect` may admit this origin; some of them may no longer do so. Needed to answer
   * preflights, which do not name the app. Rejects only if the store could not be read.
   */
  appsByOrigin?(origin: string): Promise<readonly string[]>
  /** A named list of addresses, or `undefined` if there is no such list. Rejects only if the store could not be read. */
  readList?(name: string): Promise<StoredList | undefined>
  /**
   * Remembers when a key of the app was last used, in milliseconds since the epoch. Called about once a minute for each key
   * in use; no caller waits for it, and a lost note is not repeated.
   */
  noteKeyUse?(appId: string, keyId: string, at: number): Promise<void>
}

/** A document and the keys that belong to it. */
export interface AppDocument {
  readonly policy: unknown
  /** Left out: the keys stay as they are (none, for a new app). */
  readonly keys?: readonly AppKey[] | undefined
}

/** One revision of an app in its history. Keys are never part of it, so a revoked key stays revoked. */
export interface AppRevision extends ChangeNote {
  readonly revision: number
  /** When it was written, ISO 8601, by the clock of the writer. */
  readonly at: string
  /** The document, not yet parsed; `undefined` when this revision removed the app. */
  readonly policy: unknown
  /** Whether the keys of the app were replaced or removed with it. */
  readonly keysChanged: boolean
}

/** One key of an app without its secret, for a dashboard. */
export interface ListedKey extends Omit<AppKey, 'secret'> {
  /** ISO 8601, accurate to about a minute; left out if the key was not used for a year. */
  readonly lastUsed?: string | undefined
}

/** One app in a list. */
export interface ListedApp {
  readonly appId: string
  readonly revision: number
  /** The document, not yet parsed. */
  readonly policy: unknown
}

export interface AppPage {
  /** In the order of their ids, by code unit. */
  readonly apps: readonly ListedApp[]
  /** The `after` of the next page; `undefined` on the last page. */
  readonly next: string | undefined
}

/**
 * Checks a policy before it is written, and refuses it by throwing or rejecting. `checkExpectations` creates one.
 *
 * @param policy as it will be stored
 */
export type WriteCheck = (policy: Policy) => void | Promise<void>

export interface WriteOptions {
  /** Called before anything is written or claimed. The write rejects with the error it throws. Left out: no check. */
  readonly check?: WriteCheck | undefined
}

/** A store that can also be written to, as the console and the command line require. */
export interface ManagedPolicyStore extends PolicyStore {
  /**
   * Writes the document of the app named in its `appId`, and returns the new revision. `replaces` is the current revision, or 0
   * for an app that is new or was removed. A removal is a revision too, and revisions continue after it.
   *
   * Rejects with `PolicyError` (the document or the note is refused, or another app has a key with the same id and secret), with
   * `RevisionConflict` (someone else wrote first; nothing was written), with `UnavailableError` (it may have been written
   * nevertheless), and with what `options.check` throws, before anything is written.
   */
  write(app: AppDocument, replaces: number, note?: ChangeNote, options?: WriteOptions): Promise<number>
  /** Removes the app at revision `replaces`, with its keys. Its history stays. Rejects as `write` does. */
  remove(appId: string, replaces: number, note?: ChangeNote): Promise<void>
  /** The existing apps after the id `after`, sorted by id: `limit` (1-1000, default 100) at a time. */
  list(page?: { readonly after?: string | undefined; readonly limit?: number | undefined }): Promise<AppPage>
  /**
   * The revisions of an app, newest first, even if the app was removed: `limit` (1-1000, default 100) of those before revision
   * `before`. A store keeps at least the newest 100. Empty for an app that never existed.
   */
  history(
    appId: string,
    page?: { readonly before?: number | undefined; readonly limit?: number | undefined },
  ): Promise<readonly AppRevision[]>
  /** The keys of the app, without their secrets; `undefined` if there is no such app. Rejects as `read` does. */
  keys(appId: string): Promise<readonly ListedKey[] | undefined>
  noteKeyUse(appId: string, keyId: string, at: number): Promise<void>
}
