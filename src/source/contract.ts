import type { CompiledPolicy } from '../policy/compile.ts'
import type { VerifierKey } from '../signature/keys.ts'
import type { PolicySnapshot } from './snapshot.ts'
import type { PolicyStore } from '../store/contract.ts'

/** An app as guards use it: its compiled policy and its keys. */
export interface App {
  readonly appId: string
  readonly revision: number
  readonly policy: CompiledPolicy
  readonly keys: readonly VerifierKey[]
}

export interface PolicySourceOptions {
  /** The store of the documents. */
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

/** Finds the compiled policy of an app, from memory without a promise if possible. Created by `createPolicySource`. */
export interface PolicySource {
  /** Looks the app up in memory: the app, `null` if there is no such app, `undefined` if it must be loaded. */
  peek(appId: string): App | null | undefined
  /** Joins the read in flight or reads the store. `null`: no such app. Rejects with `UnavailableError`. */
  load(appId: string): Promise<App | null>
  /** The apps that admit this origin, according to the index of the store. Rejects with `UnavailableError`. */
  appsByOrigin(origin: string): Promise<readonly App[]>
  /** Whether the store supports `appsByOrigin`. */
  readonly knowsOrigins: boolean
  /** Tells the store, at most once a minute for each key, that a key of the app was used. Never throws. */
  noteKeyUse?(appId: string, keyId: string): void
  /**
   * Confirms that the store is meant to be empty after it lost its data: after a `FLUSHALL`, a restart without its data, or the
   * removal of all apps from a file. Until then, apps in memory are served for `maxStale`, and apps that the store has again are
   * served. Every other id is refused with `POLICY_UNAVAILABLE`, because callers would take "there is no such app" as final. Call
   * it in each process, or restart the processes. It is not needed for a store that was never written to.
   */
  acceptEmpty(): void
  /** The state of the source. */
  status(): PolicySourceStatus
  /** Stops listening to the store. Policies in memory are forgotten. */
  close(): void
}

/** Counts start when the source is created. Ages are in milliseconds. */
export interface PolicySourceStatus {
  /** `whole`: changes are announced. `broken`: they may be missed. `none`: the store has no feed. */
  readonly feed: 'whole' | 'broken' | 'none'
  /** How long the feed has been in this state. */
  readonly feedAge: number
  /** Whether the store has lost its data and `acceptEmpty` was not called since. */
  readonly emptied: boolean
  /** `closed`: the store is read. `open`: it failed repeatedly and is not read for a moment. `half-open`: one read tests it. */
  readonly breaker: 'closed' | 'open' | 'half-open'
  /** The number of apps in memory. */
  readonly apps: number
  /** About how many bytes the apps take. */
  readonly bytes: number
  /** The number of unknown app ids in memory. */
  readonly unknown: number
  /** The number of named lists in memory. */
  readonly lists: number
  /** How many bytes the lists take. */
  readonly listBytes: number
  /** The age of the least recently read app; 0 if there are no apps. */
  readonly oldest: number
  /** The number of apps being read. */
  readonly reading: number
  /** The number of look-ups answered from memory, and of those that were not. */
  readonly hits: number
  readonly misses: number
  /** The number of reads of the store, and of those that failed. */
  readonly reads: number
  readonly failures: number
}
