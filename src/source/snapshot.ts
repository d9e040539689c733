import type { StoredApp } from '../store/contract.ts'

/** What was read of one app, and when. */
export interface SnapshotEntry {
  readonly app: StoredApp
  /** When it was read, in milliseconds since the epoch. */
  readonly readAt: number
}

/** What was last read of each app, to start from while the store cannot be asked. Made by `diskSnapshot`. */
export interface PolicySnapshot {
  /** Keeps what was read, soon. The last call for an app counts, be it `keep` or `forget`. Never throws. */
  keep(appId: string, entry: SnapshotEntry): void
  /** Forgets the app: it changed, or is gone. `find` does not find it from now on; its file goes soon. Never throws. */
  forget(appId: string): void
  /**
   * What was kept of the app, if it was read at most `maxAge` milliseconds ago. `undefined`: it was not kept or was
   * forgotten, or its file is damaged, of another app or sealed by a key that the vault lacks. Never rejects.
   */
  find(appId: string, maxAge: number): Promise<SnapshotEntry | undefined>
  /** Resolves when every call before this one is carried out on disk, or its failure was reported. Never rejects. */
  flush(): Promise<void>
}
