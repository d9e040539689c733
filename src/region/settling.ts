import { bucketOf } from './buckets.ts'
import type { Place } from './place.ts'

/**
 * How long a location may lose what it has acknowledged, in milliseconds: `appendfsync everysec` and a margin. Until then, a
 * write stays owed even if the other location has it.
 */
const SETTLES_AFTER = 5_000

interface Batch {
  readonly from: Place
  readonly to: Place
  readonly bucket: string
  /** How often the receiving location had been lost when it took these writes. */
  readonly losses: number
  readonly writes: Map<string, string>
}

/** How often the writes so far are closed off as a batch, in milliseconds. */
const SEALS_EVERY = 1_000

/** Settles writes that both locations have, in batches, after `SETTLES_AFTER`. */
export class Settling {
  #open = new Map<string, Batch>()
  /** Batches that get no more writes, the oldest first. */
  #sealed: { readonly at: number; readonly batches: readonly Batch[] }[] = []
  #timer: NodeJS.Timeout | undefined

  /** @param losses How often the receiving location had been lost before it took the write. */
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

/** A write that cannot be settled stays owed, and is copied once more than necessary. */
async function settle({ from, to, bucket, losses, writes }: Batch): Promise<void> {
  if (!to.isCurrent || to.losses !== losses) return
  await from.location.settle(to.name, bucket, writes).catch(() => undefined)
}
