import type { CompiledPolicy } from '../policy/compile.ts'
import type { VerifierKey } from '../signature/keys.ts'
import type { PolicySnapshot } from './snapshot.ts'
import type { PolicyStore } from '../store/contract.ts'

/** An app as guards need it: its policy in compiled form and its keys. */
export interface App {
  readonly appId: string
  readonly revision: number
  readonly policy: CompiledPolicy
  readonly keys: readonly VerifierKey[]
}

export interface PolicySourceOptions {
  /** Where the documents are kept. */
  readonly store: PolicyStore
  /**
   * How long a policy may be used after it was last read, in milliseconds. After that, it is read again; if that fails, requests
   * are refused. Default 60 000.
   */
  readonly maxStale?: number | undefined
  /**
   * After how long a policy in use is read again in the background while there is no working change feed, in milliseconds. Default
   * 1000. With a working feed it is `maxStale / 2`, because the feed announces changes.
   */
  readonly revalidateAfter?: number | undefined
  /** How long one read of the store may take, in milliseconds. Default 1000. */
  readonly readTimeout?: number | undefined
  /** How many apps are kept in memory; the least recently used are dropped. Default 10 000. */
  readonly maxApps?: number | undefined
  /** About how much memory the policies may take, in bytes; the least recently used are dropped. Default 256 MiB. */
  readonly maxBytes?: number | undefined
  /** How long an unknown app id is remembered, in milliseconds. Default 5000. At most 10 000 ids are remembered. */
  readonly unknownFor?: number | undefined
  /**
   * Keeps policies on disk, for a process that starts while the store cannot be reached: `diskSnapshot()`. Default: no snapshot.
   */
  readonly snapshot?: PolicySnapshot | undefined
  /** Called on every failed read, with the app id; for logs and metrics. Default: not reported. */
  readonly onError?: ((error: Error, appId: string | undefined) => void) | undefined
  /** A clock in milliseconds that never goes back. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

/** Finds the compiled policy of an app, from memory without a promise if possible. Made by `createPolicySource`. */
export interface PolicySource {
  /** Looks the app up in memory: the app, `null` if there is no such app, `undefined` if it must be loaded. */
  peek(appId: string): App | null | undefined
  /** Joins the read in flight or reads the store. `null`: no such app. Rejects with `UnavailableError`. */
  load(appId: string): Promise<App | null>
  /** The apps that admit this origin, as far as the store's index knows. Rejects with `UnavailableError`. */
  appsByOrigin(origin: string): Promise<readonly App[]>
  /** Whether `appsByOrigin` can be answered. */
  readonly knowsOrigins: boolean
  /** Tells the store, at most once a minute for each key, that a key of the app was used. Never throws. */
  noteKeyUse?(appId: string, keyId: string): void
  /**
   * Confirms that the store is meant to be empty after it lost its data: after a `FLUSHALL`, a restart without its data, or the
   * removal of all apps from a file. Until then apps in memory are served for `maxStale`, apps that the store has again are served,
   * and every other id is refused with `POLICY_UNAVAILABLE`, because "there is no such app" would be final to a caller. Call it in
   * each process, or restart the processes. It is not needed for a store that was never written to.
   */
  acceptEmpty(): void
  /** The state of the source. */
  status(): PolicySourceStatus
  /** Stops listening to the store. Policies in memory are forgotten. */
  close(): void
}

/** Counts are since the source was made, ages in milliseconds. */
export interface PolicySourceStatus {
  /** `whole`: changes are announced. `broken`: they may be missed. `none`: the store has no feed. */
  readonly feed: 'whole' | 'broken' | 'none'
  /** How long the feed has been as it is. */
  readonly feedAge: number
  /** Whether the store has lost what it held, and `acceptEmpty` was not called since. */
  readonly emptied: boolean
  /** `closed`: the store is asked. `open`: it failed repeatedly and is spared. `half-open`: one read finds out. */
  readonly breaker: 'closed' | 'open' | 'half-open'
  /** Apps in memory. */
  readonly apps: number
  /** About what they take. */
  readonly bytes: number
  /** Unknown app ids in memory. */
  readonly unknown: number
  /** Named lists in memory. */
  readonly lists: number
  /** What they take. */
  readonly listBytes: number
  /** Since the one of them that was read longest ago was read; 0 when there are none. */
  readonly oldest: number
  /** Apps that are being read. */
  readonly reading: number
  /** Answers from memory, and questions that it could not answer. */
  readonly hits: number
  readonly misses: number
  /** Reads of the store, and how many of them failed. */
  readonly reads: number
  readonly failures: number
}
