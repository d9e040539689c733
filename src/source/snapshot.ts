import type { StoredApp } from '../store/contract.ts'

/** An app as read from the store, and when. */
export interface SnapshotEntry {
  readonly app: StoredApp
  /** When it was read, in milliseconds since the epoch. */
  readonly readAt: number
}

/** The last read of each app, for a process that starts while the store cannot be reached. Created by `diskSnapshot`. */
export interface PolicySnapshot {
  /**
   * Keeps the entry; it is written in the background. The last call for an app wins, whether `keep` or `forget`. Never throws.
   */
  keep(appId: string, entry: SnapshotEntry): void
  /**
   * Forgets an app that was changed or removed. `find` no longer returns it; its file is removed in the background. Never throws.
   */
  forget(appId: string): void
  /**
   * The entry of the app if it was read at most `maxAge` milliseconds ago. `undefined` if it was not kept or was forgotten, or if
   * its file is damaged, belongs to another app, or was sealed by a key that the vault lacks. Never rejects.
   */
  find(appId: string, maxAge: number): Promise<SnapshotEntry | undefined>
  /** Resolves when every earlier call was carried out on disk or its failure was reported. Never rejects. */
  flush(): Promise<void>
}
