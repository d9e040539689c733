import { Rows, sortedRows, STEP } from './ip-rows.ts'
import { mask } from './ip-text.ts'

/** Stands for "in no range" where otherwise a prefix length of 0 to 128 stands. */
export const NONE = 255

/**
 * Ranges of one address width, sorted. The line of all addresses is cut into 2^bits buckets. A range that fills whole
 * buckets is noted in `cover`. The others nest or are disjoint, and each lies in one bucket: they are kept as entries, the
 * first address and the prefix length. Where a range goes on after a smaller one within it, another entry for it begins;
 * so the last entry at or before an address is of the narrowest range around it, or no range but the cover is.
 */
export class IpTable {
  readonly bytes: number
  /** How many of the highest bits of an address are the number of its bucket. */
  readonly #bits: number
  readonly #width: number
  /** The prefix length of the narrowest range that fills the bucket. */
  readonly #cover: Uint8Array
  /** The first entry of each bucket; the number of all entries at the end. */
  readonly #directory: Uint32Array
  /** The first words; with 2^16 buckets only what the bucket does not say. */
  readonly #heads: Uint16Array | Uint32Array
  readonly #headMask: number
  /** The other words of each entry, end to end. */
  readonly #tails: Uint32Array
  readonly #prefixes: Uint8Array

  constructor(width: number, cover: Uint8Array, entries: number) {
    this.#width = width
    this.#bits = 31 - Math.clz32(cover.length)
    this.#cover = cover
    this.#directory = new Uint32Array(cover.length + 1)
    this.#heads = this.#bits === 16 ? new Uint16Array(entries) : new Uint32Array(entries)
    this.#headMask = this.#bits === 16 ? 0xffff : -1
    this.#tails = new Uint32Array(entries * (width - 1))
    this.#prefixes = new Uint8Array(entries)
    this.bytes = [this.#cover, this.#directory, this.#heads, this.#tails, this.#prefixes].reduce(
      (sum, { byteLength }) => sum + byteLength,
      0,
    )
  }

  /** Takes over the entries, which are in order, in steps. */
  *fill(entries: Rows): Generator<void, this> {
    let next = 0
    for (const [page, rows] of entries.pages.entries()) {
      next = this.#fillFrom(rows, page * STEP, next)
      yield
    }
    this.#directory.fill(this.#prefixes.length, next)
    return this
  }

  /** Returns the first bucket that has not been reached. */
  #fillFrom(rows: Uint32Array, first: number, nextBucket: number): number {
    const width = this.#width
    const end = Math.min(this.#prefixes.length, first + STEP)
    let next = nextBucket
    for (let entry = first, row = 0; entry < end; entry += 1, row += width + 1) {
      const head = rows[row] as number
      for (const bucket = this.#bucketOf(head); next <= bucket; next += 1) this.#directory[next] = entry
      this.#heads[entry] = head
      const tail = entry * (width - 1)
      for (let word = 1; word < width; word += 1) this.#tails[tail + word - 1] = rows[row + word] as number
      this.#prefixes[entry] = rows[row + width] as number
    }
    return next
  }

  /** The prefix length of the narrowest range that contains an address, or `NONE`. Further words are not looked at. */
  find(words: readonly number[]): number {
    const head = words[0] as number
    const bucket = this.#bucketOf(head)
    const key = (head & this.#headMask) >>> 0
    const begin = this.#directory[bucket] as number
    let low = begin
    let high = this.#directory[bucket + 1] as number
    while (low < high) {
      const middle = (low + high) >>> 1
      const value = this.#heads[middle] as number
      if (value < key || (value === key && this.#tailOrder(middle, words) <= 0)) low = middle + 1
      else high = middle
    }
    if (low > begin && this.#holds(low - 1, key, words)) return this.#prefixes[low - 1] as number
    return this.#cover[bucket] as number
  }

  #bucketOf(head: number): number {
    return this.#bits === 0 ? 0 : head >>> (32 - this.#bits)
  }

  /** The order of the tail of an entry and that of an address. */
  #tailOrder(entry: number, words: readonly number[]): number {
    const rest = this.#width - 1
    for (let word = 0; word < rest; word += 1) {
      const difference = (this.#tails[entry * rest + word] as number) - (words[word + 1] as number)
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Does an entry share with an address as many bits as its prefix length says? */
  #holds(entry: number, key: number, words: readonly number[]): boolean {
    let left = this.#prefixes[entry] as number
    if ((((this.#heads[entry] as number) ^ key) & mask(left)) !== 0) return false
    const rest = this.#width - 1
    for (let word = 0; word < rest; word += 1) {
      left -= 32
      const difference = (this.#tails[entry * rest + word] as number) ^ (words[word + 1] as number)
      if ((difference & mask(left)) !== 0) return false
    }
    return true
  }
}

/** From fewer ranges on, a directory would not pay. */
const FEWEST_WITH_DIRECTORY = 64

/** About four ranges to a bucket, so that the directory adds a byte to each. */
function bitsFor(ranges: number): number {
  return ranges < FEWEST_WITH_DIRECTORY ? 0 : Math.min(16, 29 - Math.clz32(ranges))
}

/** Most sets have no range of one kind or another. */
const EMPTY = new IpTable(1, new Uint8Array([NONE]), 0)

/** Makes a table of ranges whose host bits are zero, in steps; the rows may be in any order and repeat. */
export function* buildTable(rows: Rows): Generator<void, IpTable> {
  if (rows.length === 0) return EMPTY
  const sorted = yield* sortedRows(rows)
  const sweep = new Sweep(sorted, rows.width, bitsFor(rows.length))
  for (let start = 0; start < rows.length; start += STEP) {
    sweep.run(start, Math.min(rows.length, start + STEP))
    yield
  }
  const entries = sweep.finish()
  return yield* new IpTable(rows.width, sweep.cover, entries.length).fill(entries)
}

/** Walks over sorted ranges and notes at which address which prefix length begins to hold. */
class Sweep {
  readonly cover: Uint8Array
  readonly #rows: Uint32Array
  readonly #width: number
  readonly #bits: number
  /** The ranges around the place that the walk has reached, the narrowest last, by the offset of their row. */
  readonly #open: number[] = []
  readonly #entries: Rows
  /** The last entry. It is kept back: a narrower range may begin at the same address. */
  readonly #last: Uint32Array
  #lastPrefix = NONE
  readonly #after: Uint32Array

  constructor(rows: Uint32Array, width: number, bits: number) {
    this.#rows = rows
    this.#width = width
    this.#bits = bits
    this.cover = new Uint8Array(1 << bits).fill(NONE)
    this.#entries = new Rows(width)
    this.#last = new Uint32Array(width)
    this.#after = new Uint32Array(width)
  }

  run(start: number, end: number): void {
    const stride = this.#width + 1
    for (let row = start * stride; row < end * stride; row += stride) {
      const prefix = this.#prefixOf(row)
      if (prefix <= this.#bits) {
        const bucket = this.#bits === 0 ? 0 : (this.#rows[row] as number) >>> (32 - this.#bits)
        this.cover.fill(prefix, bucket, bucket + 2 ** (this.#bits - prefix))
      } else {
        this.#closeBefore(row)
        this.#open.push(row)
        this.#begin(this.#rows, row, prefix)
      }
    }
  }

  finish(): Rows {
    this.#closeBefore(undefined)
    this.#keep()
    return this.#entries
  }

  #prefixOf(row: number): number {
    return this.#rows[row + this.#width] as number
  }

  #closeBefore(next: number | undefined): void {
    for (let top = this.#open.at(-1); top !== undefined; top = this.#open.at(-1)) {
      if (next !== undefined && this.#within(this.#rows, next, top)) return
      this.#open.pop()
      const around = this.#open.at(-1)
      if (around === undefined) continue
      this.#stepOver(top)
      if (this.#within(this.#after, 0, around)) this.#begin(this.#after, 0, this.#prefixOf(around))
    }
  }

  /** Does an address lie in the range of a row? */
  #within(words: Uint32Array, offset: number, row: number): boolean {
    let left = this.#prefixOf(row)
    for (let word = 0; word < this.#width && left > 0; word += 1, left -= 32) {
      const difference = (words[offset + word] as number) ^ (this.#rows[row + word] as number)
      if ((difference & mask(left)) !== 0) return false
    }
    return true
  }

  /** Sets `after` to the address that follows a range; to the first of all after the last of all. */
  #stepOver(row: number): void {
    for (let word = 0; word < this.#width; word += 1) this.#after[word] = this.#rows[row + word] as number
    const lowest = this.#prefixOf(row) - 1
    let word = lowest >>> 5
    let sum = (this.#after[word] as number) + 2 ** (31 - (lowest & 31))
    this.#after[word] = sum
    while (sum > 0xffffffff && word > 0) {
      word -= 1
      sum = (this.#after[word] as number) + 1
      this.#after[word] = sum
    }
  }

  #begin(words: Uint32Array, offset: number, prefix: number): void {
    let moved = this.#lastPrefix === NONE
    for (let word = 0; word < this.#width; word += 1) moved ||= this.#last[word] !== words[offset + word]
    if (moved) {
      this.#keep()
      for (let word = 0; word < this.#width; word += 1) this.#last[word] = words[offset + word] as number
    }
    this.#lastPrefix = prefix
  }

  #keep(): void {
    if (this.#lastPrefix !== NONE) this.#entries.push(this.#last, 0, this.#lastPrefix)
  }
}
