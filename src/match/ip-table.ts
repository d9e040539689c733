import { sortedRows, STEP, type Rows } from './ip-rows.ts'
import { Sweep } from './ip-sweep.ts'
import { mask } from './ip-text.ts'
import { bucketOf, NONE, windowOf, type Window } from './ip-window.ts'

/**
 * Ranges of one address width. Behind the bits in which all agree, the next bits are the number of a bucket. A range that
 * fills whole buckets is noted in `cover`. The others nest or are disjoint, and each lies in one bucket: they are kept as
 * entries, in order, the first address and the prefix length. Where a range goes on after a smaller one within it, another
 * entry for it begins; so the last entry at or before an address is of the narrowest range around it, or only the cover is.
 */
export class IpTable {
  readonly bytes: number
  readonly #window: Window
  /** The word in which the window begins, and how far in. */
  readonly #windowWord: number
  readonly #windowShift: number
  /** The bits that all ranges share. */
  readonly #common: Uint32Array
  /** The prefix length of the narrowest range that fills the bucket; empty when there is no such range. */
  readonly #cover: Uint8Array
  /** The first entry of each bucket; the number of all entries at the end. */
  readonly #directory: Uint32Array
  /** An entry: what the bucket leaves open of its first address, in halves of words, and a byte for the prefix length. */
  readonly #entries: DataView
  readonly #stride: number
  /** The first word that stands in an entry, and whether it is only the lower half. */
  readonly #headWord: number
  readonly #half: boolean
  readonly #width: number

  constructor(width: number, window: Window, common: Uint32Array, cover: Uint8Array, entries: number) {
    const { skip, bits } = window
    // An entry keeps half a word at least, though the bucket may say all.
    const halves = Math.min(2 * width - 1, (skip + bits) >>> 4)
    this.#width = width
    this.#window = window
    this.#windowWord = skip >>> 5
    this.#windowShift = skip & 31
    this.#common = common
    this.#cover = cover
    this.#directory = new Uint32Array(2 ** bits + 1)
    this.#headWord = halves >>> 1
    this.#half = halves % 2 === 1
    this.#stride = 2 * (2 * width - halves) + 1
    this.#entries = new DataView(new ArrayBuffer(entries * this.#stride))
    this.bytes = common.byteLength + cover.byteLength + this.#directory.byteLength + this.#entries.byteLength
  }

  /** Takes over the entries, which are in order, in steps. */
  *fill(rows: Rows): Generator<void, this> {
    let next = 0
    for (const [page, words] of rows.pages.entries()) {
      next = this.#fillFrom(words, page * STEP, Math.min(rows.length, (page + 1) * STEP), next)
      yield
    }
    this.#directory.fill(rows.length, next)
    return this
  }

  /** Returns the first bucket that has not been reached. */
  #fillFrom(rows: Uint32Array, first: number, end: number, nextBucket: number): number {
    const width = this.#width
    let next = nextBucket
    for (let entry = first, row = 0; entry < end; entry += 1, row += width + 1) {
      const bucket = this.#bucketOf(rows, row)
      for (; next <= bucket; next += 1) this.#directory[next] = entry
      let place = entry * this.#stride
      for (let word = this.#headWord; word < width; word += 1) {
        const value = rows[row + word] as number
        if (word === this.#headWord && this.#half) {
          this.#entries.setUint16(place, value & 0xffff)
          place += 2
        } else {
          this.#entries.setUint32(place, value)
          place += 4
        }
      }
      this.#entries.setUint8(place, rows[row + width] as number)
    }
    return next
  }

  /** The prefix length of the narrowest range that contains an address, or `NONE`. Further words are not looked at. */
  find(words: ArrayLike<number>): number {
    if (!this.#sharesCommon(words)) return NONE
    const bucket = this.#bucketOf(words, 0)
    const head = words[this.#headWord] as number
    const key = this.#half ? head & 0xffff : head
    const begin = this.#directory[bucket] as number
    let low = begin
    let high = this.#directory[bucket + 1] as number
    while (low < high) {
      const middle = (low + high) >>> 1
      const value = this.#headOf(middle)
      if (value < key || (value === key && this.#tailOrder(middle, words) <= 0)) low = middle + 1
      else high = middle
    }
    if (low > begin) {
      const prefix = this.#prefixOf(low - 1)
      if (this.#holds(low - 1, prefix, key, words)) return prefix
    }
    return this.#cover.length === 0 ? NONE : (this.#cover[bucket] as number)
  }

  #sharesCommon(words: ArrayLike<number>): boolean {
    for (let word = 0, left = this.#window.skip; left > 0; word += 1, left -= 32) {
      if ((((words[word] as number) ^ (this.#common[word] as number)) & mask(left)) !== 0) return false
    }
    return true
  }

  #bucketOf(words: ArrayLike<number>, offset: number): number {
    return bucketOf(words, offset + this.#windowWord, this.#windowShift, this.#window.bits)
  }

  #headOf(entry: number): number {
    const place = entry * this.#stride
    return this.#half ? this.#entries.getUint16(place) : this.#entries.getUint32(place)
  }

  #prefixOf(entry: number): number {
    return this.#entries.getUint8((entry + 1) * this.#stride - 1)
  }

  /** The order of what follows the head of an entry, and the same of an address. */
  #tailOrder(entry: number, words: ArrayLike<number>): number {
    let place = entry * this.#stride + (this.#half ? 2 : 4)
    for (let word = this.#headWord + 1; word < this.#width; word += 1, place += 4) {
      const difference = this.#entries.getUint32(place) - (words[word] as number)
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Does an address share as many bits with an entry as its prefix length says? */
  #holds(entry: number, prefix: number, key: number, words: ArrayLike<number>): boolean {
    let left = prefix - 32 * this.#headWord
    if (((this.#headOf(entry) ^ key) & mask(left)) !== 0) return false
    let place = entry * this.#stride + (this.#half ? 2 : 4)
    for (let word = this.#headWord + 1; word < this.#width; word += 1, place += 4) {
      left -= 32
      if (((this.#entries.getUint32(place) ^ (words[word] as number)) & mask(left)) !== 0) return false
    }
    return true
  }
}

/** Shorter than other steps: no loop of it is long enough to be compiled while it runs, so that the first steps are slow. */
const STEP_OF_SWEEP = 512

/** Makes a table of ranges whose host bits are zero, in steps; there is one at least, they may be in any order and repeat. */
export function* buildTable(rows: Rows): Generator<void, IpTable> {
  const sorted = yield* sortedRows(rows)
  const window = windowOf(sorted, rows.width, rows.widest)
  const sweep = new Sweep(sorted, rows.width, window)
  for (let start = 0; start < rows.length; start += STEP_OF_SWEEP) {
    sweep.run(start, Math.min(rows.length, start + STEP_OF_SWEEP))
    yield
  }
  const entries = sweep.finish()
  const common = sorted.slice(0, rows.width)
  return yield* new IpTable(rows.width, window, common, sweep.cover, entries.length).fill(entries)
}
