import { bucketOf } from './buckets.ts'
import type { Place } from './place.ts'

/**
 * For how long a location may lose what it has acknowledged, in milliseconds: `appendfsync everysec` and a margin. What was written
 * to two locations is owed until then.
 */
const SETTLES_AFTER = 5_000

interface Batch {
  readonly from: Place
  readonly to: Place
  readonly bucket: string
  /** How often the other location had been lost when it took these. */
  readonly losses: number
  readonly writes: Map<string, string>
}

/** Settles what was written to both, a while later and many at once. */
export class Settling {
  #batches = new Map<string, Batch>()
  #timer: NodeJS.Timeout | undefined

  add(from: Place, to: Place, id: string, stamp: string): void {
    const bucket = bucketOf(id)
    const key = `${from.name} ${to.name} ${bucket} ${to.losses}`
    let batch = this.#batches.get(key)
    if (batch === undefined) {
      batch = { from, to, bucket, losses: to.losses, writes: new Map() }
      this.#batches.set(key, batch)
    }
    batch.writes.set(id, stamp)
    this.#timer ??= setTimeout(() => this.#next(), SETTLES_AFTER).unref()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#batches.clear()
  }

  /** Those that came last wait as long again, so that each has waited long enough. */
  #next(): void {
    const due = this.#batches
    this.#batches = new Map()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#batches.size > 0) this.#timer = setTimeout(() => this.#next(), 0).unref()
      for (const batch of due.values()) void settle(batch)
    }, SETTLES_AFTER).unref()
  }
}

/** What cannot be settled stays owed, and is copied once more than needed. */
async function settle({ from, to, bucket, losses, writes }: Batch): Promise<void> {
  if (!to.isCurrent || to.losses !== losses) return
  await from.location.settle(to.name, bucket, writes).catch(() => undefined)
}
