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
 * What was read of the store: apps, and ids of which there is no app. It knows what may be used without asking the store
 * again, and which revision a reading must have at least.
 */
export class PolicyMemory {
  readonly #setting: MemorySetting
  readonly #apps: LRUCache<string, Entry>
  /** Made when it is first needed, for the cache takes all of its places at once. */
  #unknown: LRUCache<string, number> | undefined
  /** The app that was looked for last, until something changes. The memory knows that it was used last. */
  #latestId: string | undefined
  #latest: Entry | undefined
  /** Counts the times in which the feed had no gap. */
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

  /** The app that may be used now, `null` for an id of which there is no app, `undefined` where the store must be asked. */
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

  /** What is there of the app, whether it may be used or not. */
  entryOf(appId: string): Entry | undefined {
    return this.#apps.peek(appId)
  }

  /** The revision that a reading must have. After a gap in the feed the store may have lost what it once announced. */
  floorOf({ epoch, floor, floorAt }: Entry): number {
    const holds = epoch === this.#epoch && this.#setting.now() - floorAt <= this.#setting.maxStale
    return holds ? floor : 0
  }

  /** Whether the entry is fresh, though the feed no longer vouches for it. */
  outlives(entry: Entry): boolean {
    return !entry.outdated && this.#setting.now() - entry.readAt <= this.#setting.maxStale
  }

  /**
   * After a gap in the feed, when the store could not be asked: takes the app as it was read before for as long as
   * `maxStale` allows. An app of which a change was announced is not taken. Answers whether it is.
   */
  keepUnconfirmed(appId: string): boolean {
    const entry = this.#apps.peek(appId)
    if (entry === undefined || entry.epoch === this.#epoch) return false
    if (!this.#isFresh(entry, this.#setting.now())) return false
    this.#set(appId, { ...entry, epoch: this.#epoch, floor: 0, unconfirmed: true })
    return true
  }

  /** Answers whether there is room for it. */
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

  /** There is no such app, and there was no such app at `readAt`; `undefined`: it may have been written since. */
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

  /** Whatever was read until now may be out of date. */
  beginEpoch(): void {
    this.#epoch += 1
    this.#epochBegan = Date.now()
    this.#unknown?.clear()
  }

  /** When the feed last had a gap, in milliseconds since the Unix epoch. */
  get epochBegan(): number {
    return this.#epochBegan
  }

  /** Ids of the apps in memory that admit the origin: as much work as there are apps. */
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

  /** How long ago the app was read whose read is the oldest; 0 when there are no apps. */
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
