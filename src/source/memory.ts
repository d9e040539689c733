import { LRUCache } from 'lru-cache'
import { isAppId } from '../names.ts'
import type { Entry, Flight } from './entry.ts'
import type { Known } from './reading.ts'

export interface MemorySetting {
  readonly maxApps: number
  readonly maxBytes: number
  readonly maxStale: number
  readonly unknownFor: number
  readonly now: () => number
}

const MAX_UNKNOWN = 10_000

/**
 * What was read from the store: apps, and ids without an app. It knows what may be used without another read, and the lowest
 * revision that a read may return.
 */
export class PolicyMemory {
  readonly #setting: MemorySetting
  readonly #apps: LRUCache<string, Entry>
  /** Created on first use, because the cache allocates all its slots at once. */
  #unknown: LRUCache<string, number> | undefined
  /** The app that was looked up last, until something changes. The LRU order already has it as the most recent one. */
  #latestId: string | undefined
  #latest: Entry | undefined
  /** The number of the current period without a gap in the feed. */
  #epoch = 0
  #epochBegan = 0

  constructor(setting: MemorySetting) {
    this.#setting = setting
    this.#apps = new LRUCache({
      max: setting.maxApps,
      maxSize: setting.maxBytes,
      sizeCalculation: ({ weight }) => weight,
    })
  }

  /** The app that may be used now, `null` for an id without an app, `undefined` if the store must be read. */
  find(appId: string, at: number): Entry | null | undefined {
    const entry = appId === this.#latestId ? this.#latest : this.#look(appId)
    if (entry !== undefined) {
      return entry.epoch === this.#epoch && this.#isFresh(entry, at) ? entry : undefined
    }
    const askedAt = this.#unknown?.get(appId)
    if (askedAt === undefined) return isAppId(appId) ? undefined : null
    return at - askedAt < this.#setting.unknownFor ? null : undefined
  }

  #look(appId: string): Entry | undefined {
    const entry = this.#apps.get(appId)
    this.#latestId = appId
    this.#latest = entry
    return entry
  }

  /** The entry of the app, even if it may not be used. */
  entryOf(appId: string): Entry | undefined {
    return this.#apps.peek(appId)
  }

  /**
   * The lowest revision that a read may return. It is 0 after a gap in the feed and after `maxStale`, because the store may have
   * lost what it announced.
   */
  floorOf({ epoch, floor, floorAt }: Entry): number {
    const holds = epoch === this.#epoch && this.#setting.now() - floorAt <= this.#setting.maxStale
    return holds ? floor : 0
  }

  /** Whether the entry is fresh, although the feed no longer confirms it. */
  outlives(entry: Entry): boolean {
    return !entry.outdated && this.#setting.now() - entry.readAt <= this.#setting.maxStale
  }

  /**
   * For a gap in the feed during which the store could not be read: keeps using the entry for as long as `maxStale` allows,
   * unless a change of the app was announced. Returns whether the entry may be used.
   */
  keepUnconfirmed(appId: string): boolean {
    const entry = this.#apps.peek(appId)
    if (entry === undefined || entry.epoch === this.#epoch) return false
    if (!this.#isFresh(entry, this.#setting.now())) return false
    this.#set(appId, { ...entry, epoch: this.#epoch, floor: 0, unconfirmed: true })
    return true
  }

  /** Returns whether there was room for it. */
  remember(
    appId: string,
    { app, weight, digest, lists }: Known,
    readAt: number,
    { floor, outdated }: Pick<Flight, 'floor' | 'outdated'>,
  ): boolean {
    const before = this.#apps.peek(appId)
    const at = this.#setting.now()
    this.#unknown?.delete(appId)
    this.#set(appId, {
      app,
      weight,
      digest,
      lists,
      readAt,
      epoch: this.#epoch,
      floor,
      floorAt: at,
      outdated,
      unconfirmed: false,
      retryAt: at,
      keptAt: before?.digest === digest ? before.keptAt : Number.NEGATIVE_INFINITY,
    })
    return this.#apps.has(appId)
  }

  /** There is no such app. `readAt` is when that was read, or `undefined` if the app may have been written since. */
  rememberUnknown(appId: string, readAt: number | undefined): void {
    this.#forgetLatest()
    this.#apps.delete(appId)
    if (readAt === undefined) return
    this.#unknown ??= new LRUCache({ max: MAX_UNKNOWN })
    this.#unknown.set(appId, readAt)
  }

  /** The app was written or removed, and is at this revision or a later one. */
  changed(appId: string, revision: number): void {
    this.#unknown?.delete(appId)
    const entry = this.#apps.peek(appId)
    if (entry === undefined) return
    const floor = this.floorOf(entry)
    entry.outdated = true
    if (revision > floor) entry.floorAt = this.#setting.now()
    entry.floor = Math.max(floor, revision)
  }

  /** Everything read so far may be out of date. */
  beginEpoch(): void {
    this.#epoch += 1
    this.#epochBegan = Date.now()
    this.#unknown?.clear()
  }

  /** When the feed last had a gap, in milliseconds since the epoch. */
  get epochBegan(): number {
    return this.#epochBegan
  }

  /** The ids of the apps in memory that admit the origin. Checks every app. */
  admitting(origin: string): string[] {
    return [...this.#apps.values()]
      .filter(({ app }) => app.policy.domainProtect?.domains.find(origin) !== undefined)
      .map(({ app }) => app.appId)
  }

  clear(): void {
    this.#forgetLatest()
    this.#apps.clear()
    this.beginEpoch()
  }

  get size(): number {
    return this.#apps.size
  }

  get bytes(): number {
    return this.#apps.calculatedSize
  }

  get unknown(): number {
    return this.#unknown?.size ?? 0
  }

  /** The age of the oldest read, in milliseconds; 0 if there are no apps. */
  get oldest(): number {
    const at = this.#setting.now()
    let oldest = at
    for (const { readAt } of this.#apps.values()) oldest = Math.min(oldest, readAt)
    return at - oldest
  }

  #forgetLatest(): void {
    this.#latestId = this.#latest = undefined
  }

  #isFresh(entry: Entry, at: number): boolean {
    return (
      !entry.outdated &&
      at - entry.readAt <= this.#setting.maxStale &&
      (entry.lists.length === 0 || entry.lists.every((list) => list.usable(at)))
    )
  }

  #set(appId: string, entry: Entry): void {
    this.#forgetLatest()
    this.#apps.set(appId, entry)
  }
}
