import type { AppKey } from '../signature/keys.ts'

export type { AppKey }

/** What a store holds of one app. */
export interface StoredApp {
  /** The policy document, not yet parsed. */
  readonly policy: unknown
  /** 1 for the first written policy, then one more for each write. */
  readonly revision: number
  readonly keys: readonly AppKey[]
}

/** How a store tells what happens to its change feed. */
export interface StoreListener {
  /** This app was written or removed. */
  changed(appId: string): void
  /** Changes may be missed from now on. */
  broken(): void
  /** The feed runs again; whatever was read before may be out of date. */
  restored(): void
}

/** All that a user must write to bring a store of their own: one method. */
export interface PolicyStore {
  /**
   * What is stored for the app, or `undefined` when there is no such app.
   * Rejects only when it could not look.
   */
  read(appId: string): Promise<StoredApp | undefined>
  /**
   * Calls back for every change, from before it returns until the function it returns is called. Where the feed does not
   * run yet, it calls `broken` before it returns, and `restored` when it does. One change may be announced more than once.
   * A store without it is read again at intervals.
   */
  watch?(listener: StoreListener): () => void
  /**
   * Ids of apps whose `domainProtect` may admit this origin; some of them may no longer do so.
   * Needed to answer preflights, which do not say which app will call. Rejects only when it could not look.
   */
  appsByOrigin?(origin: string): Promise<readonly string[]>
  /** The ranges of a named list of addresses, or `undefined` when there is no such list. Rejects only when it could not look. */
  readList?(name: string): Promise<readonly string[] | undefined>
}

/** A document and the keys that belong to it. */
export interface AppDocument {
  readonly policy: unknown
  /** Left out: the keys stay as they are (none, for a new app). */
  readonly keys?: readonly AppKey[] | undefined
}

/** A store that can also be written: what a dashboard and a command line need. */
export interface ManagedPolicyStore extends PolicyStore {
  /**
   * Writes the document of the app that it names in `appId`, and answers with its new revision.
   * `replaces` is the revision that it takes the place of, 0 for a new app or one that was removed. Revisions count on
   * after a removal, which is one too. Rejects with `PolicyError` (the document is refused), `RevisionConflict` (somebody
   * else wrote; nothing was written) or `UnavailableError` (it may have been written all the same).
   */
  write(app: AppDocument, replaces: number): Promise<number>
  /** Removes the app at revision `replaces`, with its keys. Rejects as `write` does. */
  remove(appId: string, replaces: number): Promise<void>
}
