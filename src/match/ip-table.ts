import { sortedRows, STEP, type Rows } from './ip-rows.ts'
import { Sweep } from './ip-sweep.ts'
import { mask } from './ip-text.ts'
import { bucketOf, NONE, windowOf, type Window } from './ip-window.ts'
import type { IpAddress } from './ip.ts'

/** A head and the prefix length after it must be a small integer of V8, and the sum of two must fit in 32 bits. */
const MOST_HEAD_BITS = 22
const PREFIX_BITS = 8

/**
 * Ranges of one address width. The first bits are the same in all ranges; the next bits are the number of a bucket. `cover`
 * records ranges that fill whole buckets. The others are nested or disjoint, and each is in one bucket. They are stored as
 * entries, in the order of their first address. If a range continues after a narrower one inside it, it gets another entry
 * there. So the last entry at or before an address is the narrowest range around it; if that entry does not contain it, only
 * the cover can.
 *
 * The bits after those of the bucket are the head of an entry, stored in one number with its prefix length. The remaining
 * bits are its tail. A million ranges do not fit in the caches of a processor, so the cost of a look-up is the number of
 * places in memory that it reads: one in the directory, and usually one in the entries.
 */
export class IpTable {
  readonly bytes: number
  readonly #width: number
  readonly #bucketBits: number
  readonly #headBits: number
  /** Where bucket, head and tail begin: the word, and the bit in it. */
  readonly #bucketWord: number
  readonly #bucketShift: number
  readonly #headWord: number
  readonly #headShift: number
  readonly #tailWord: number
  readonly #tailShift: number
  /** The number of bits before the tail. */
  readonly #tailBegin: number
  /** The bits that all ranges share, and a mask of their positions. */
  readonly #common: Int32Array
  readonly #commonMask: Int32Array
  /** For each bucket, the prefix length of the narrowest range that fills it. Empty if no range fills a bucket. */
  readonly #cover: Uint8Array
  /** The index of the first entry of each bucket, and the total number of entries as the last element. */
  readonly #directory: Uint32Array
  /** For each entry the head, then the words of the tail. */
  readonly #entries: Int32Array
  readonly #stride: number

  constructor(
    width: number,
    { skip, bits }: Window,
    common: Uint32Array,
    cover: Uint8Array,
    entries: number,
  ) {
    const head = skip + bits
    this.#width = width
    this.#bucketBits = bits
    this.#headBits = Math.min(MOST_HEAD_BITS, 32 * width - head)
    this.#bucketWord = skip >>> 5
    this.#bucketShift = skip & 31
    this.#headWord = head >>> 5
    this.#headShift = head & 31
    this.#tailBegin = head + this.#headBits
    this.#tailWord = this.#tailBegin >>> 5
    this.#tailShift = this.#tailBegin & 31
    this.#stride = 1 + Math.ceil((32 * width - this.#tailBegin) / 32)
    this.#commonMask = Int32Array.from({ length: 4 }, (_, word) => mask(skip - 32 * word))
    this.#common = this.#commonMask.map((bitsOfWord, word) => bitsOfWord & (common[word] ?? 0))
    this.#cover = cover
    this.#directory = new Uint32Array(2 ** bits + 1)
    this.#entries = new Int32Array(entries * this.#stride)
    this.bytes = [this.#common, this.#commonMask, cover, this.#directory, this.#entries].reduce(
      (sum, { byteLength }) => sum + byteLength,
      0,
    )
  }

  /** Copies the sorted entries, in steps. */
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
    const stride = this.#stride
    const wordOf = (row: number, word: number): number => (word < width ? (rows[row + word] as number) : 0)
    let next = nextBucket
    for (let entry = first, row = 0; entry < end; entry += 1, row += width + 1) {
      const bucket = bucketOf(rows, row + this.#bucketWord, this.#bucketShift, this.#bucketBits)
      for (; next <= bucket; next += 1) this.#directory[next] = entry
      const headWord = joined(wordOf(row, this.#headWord), wordOf(row, this.#headWord + 1), this.#headShift)
      const prefix = rows[row + width] as number
      this.#entries[entry * stride] = (highest(headWord, this.#headBits) << PREFIX_BITS) | prefix
      for (let part = 1; part < stride; part += 1) {
        const word = this.#tailWord + part - 1
        const tail = joined(wordOf(row, word), wordOf(row, word + 1), this.#tailShift)
        this.#entries[entry * stride + part] = tail
      }
    }
    return next
  }

  /** The prefix length of the narrowest range that contains an address, or `NONE`. */
  find(address: IpAddress): number {
    const common = this.#common
    const commonMask = this.#commonMask
    const differing =
      ((address.word0 ^ (common[0] as number)) & (commonMask[0] as number)) |
      ((address.word1 ^ (common[1] as number)) & (commonMask[1] as number)) |
      ((address.word2 ^ (common[2] as number)) & (commonMask[2] as number)) |
      ((address.word3 ^ (common[3] as number)) & (commonMask[3] as number))
    if (differing !== 0) return NONE
    const bucket = highest(bitsFrom(address, this.#bucketWord, this.#bucketShift), this.#bucketBits)
    const begin = this.#directory[bucket] as number
    const end = this.#directory[bucket + 1] as number
    if (begin < end) {
      const prefix = this.#findAmong(address, begin, end)
      if (prefix !== NONE) return prefix
    }
    return this.#cover.length === 0 ? NONE : (this.#cover[bucket] as number)
  }

  /** Like `find`, among the entries of one bucket. */
  #findAmong(address: IpAddress, begin: number, end: number): number {
    const entries = this.#entries
    const stride = this.#stride
    const head = highest(bitsFrom(address, this.#headWord, this.#headShift), this.#headBits)
    const above = (head + 1) << PREFIX_BITS
    // Finds the last entry whose head is not above that of the address. The direction is unpredictable, so the loop has no
    // branch.
    let entry = begin
    for (let left = end - begin; left > 1;) {
      const half = left >>> 1
      entry += half & (((entries[(entry + half) * stride] as number) - above) >> 31)
      left -= half
    }
    const value = entries[entry * stride] as number
    if (value >= above) return NONE
    if (stride === 1 || value >>> PREFIX_BITS !== head) return this.#holdsByHead(head, value)
    const found = this.#lastAtOrBefore(address, head, begin, entry)
    return found < begin ? NONE : this.#holds(address, head, found)
  }

  /** The last entry, up to `last`, at or before an address. The head of the address is that of `last`. */
  #lastAtOrBefore(address: IpAddress, head: number, begin: number, last: number): number {
    if (this.#tailOrder(address, last) <= 0) return last
    let low = begin
    let high = last
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = ((this.#entries[middle * this.#stride] as number) >>> PREFIX_BITS) - head
      if (order < 0 || (order === 0 && this.#tailOrder(address, middle) <= 0)) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Compares the tail of an entry with that of an address. Negative: the entry is lower. */
  #tailOrder(address: IpAddress, entry: number): number {
    const stride = this.#stride
    for (let part = 1; part < stride; part += 1) {
      const tail = bitsFrom(address, this.#tailWord + part - 1, this.#tailShift) >>> 0
      const difference = ((this.#entries[entry * stride + part] as number) >>> 0) - tail
      if (difference !== 0) return difference
    }
    return 0
  }

  /** The prefix length of an entry if its head shows that it contains the address; otherwise `NONE`. */
  #holdsByHead(head: number, value: number): number {
    const prefix = value & NONE
    const open = this.#tailBegin - prefix
    return open >= 0 && ((value >>> PREFIX_BITS) ^ head) >>> open === 0 ? prefix : NONE
  }

  #holds(address: IpAddress, head: number, entry: number): number {
    const place = entry * this.#stride
    const value = this.#entries[place] as number
    const prefix = value & NONE
    if (prefix <= this.#tailBegin || value >>> PREFIX_BITS !== head) return this.#holdsByHead(head, value)
    for (let part = 1, left = prefix - this.#tailBegin; left > 0; part += 1, left -= 32) {
      const tail = bitsFrom(address, this.#tailWord + part - 1, this.#tailShift)
      if ((((this.#entries[place + part] as number) ^ tail) & mask(left)) !== 0) return NONE
    }
    return prefix
  }
}

/** The 32 bits of an address that begin at bit `shift` of a word. Bits after the end are zero. */
function bitsFrom(address: IpAddress, word: number, shift: number): number {
  const first = wordAt(address, word)
  return shift === 0 ? first : joined(first, wordAt(address, word + 1), shift)
}

function wordAt(address: IpAddress, word: number): number {
  if (word === 0) return address.word0
  if (word === 1) return address.word1
  if (word === 2) return address.word2
  return word === 3 ? address.word3 : 0
}

/** The low bits of a word without its first `shift` bits, followed by the first bits of the next word. */
function joined(word: number, next: number, shift: number): number {
  return shift === 0 ? word : (word << shift) | (next >>> (32 - shift))
}

/** The highest bits of a word. */
function highest(word: number, bits: number): number {
  // Two shifts, because a shift by 32 has no effect.
  return (word >>> 1) >>> (31 - bits)
}

/** Shorter than other steps: its loops are too short to be compiled while they run, so the first steps are slow. */
const STEP_OF_SWEEP = 512

/** Creates a table of at least one range, in steps. The host bits are zero; the order is free, and duplicates are allowed. */
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
