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

/** How often writes of the last while are closed off as a batch, in milliseconds. */
const SEALS_EVERY = 1_000

/** Settles what was written to both, a while later and many at once. */
export class Settling {
  #open = new Map<string, Batch>()
  /** Batches that nothing is added to any more, the oldest first. */
  #sealed: { readonly at: number; readonly batches: readonly Batch[] }[] = []
  #timer: NodeJS.Timeout | undefined

  /** @param losses How often the other location had been lost before it took the write. */
  add(from: Place, to: Place, id: string, stamp: string, losses: number): void {
    const bucket = bucketOf(id)
    const key = `${from.name} ${to.name} ${bucket} ${losses}`
    let batch = this.#open.get(key)
    if (batch === undefined) {
      batch = { from, to, bucket, losses, writes: new Map() }
      this.#open.set(key, batch)
    }
    batch.writes.set(id, stamp)
    this.#timer ??= setInterval(() => this.#next(), SEALS_EVERY).unref()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#open.clear()
    this.#sealed = []
  }

  #next(): void {
    const now = performance.now()
    if (this.#open.size > 0) this.#sealed.push({ at: now, batches: [...this.#open.values()] })
    this.#open.clear()
    while (this.#sealed[0] !== undefined && now - this.#sealed[0].at >= SETTLES_AFTER)
      for (const batch of this.#sealed.shift()?.batches ?? []) void settle(batch)
    if (this.#sealed.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** What cannot be settled stays owed, and is copied once more than needed. */
async function settle({ from, to, bucket, losses, writes }: Batch): Promise<void> {
  if (!to.isCurrent || to.losses !== losses) return
  await from.location.settle(to.name, bucket, writes).catch(() => undefined)
}
