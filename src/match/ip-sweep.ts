import { Rows } from './ip-rows.ts'
import { mask } from './ip-text.ts'
import { bucketOf, NONE, type Window } from './ip-window.ts'

/** Walks over sorted ranges and records at which address the narrowest prefix length changes. */
export class Sweep {
  #cover = new Uint8Array()
  readonly #rows: Uint32Array
  readonly #width: number
  readonly #window: Window
  /** The ranges that contain the current position, as offsets of their rows. The narrowest is last. */
  readonly #open: number[] = []
  readonly #entries: Rows
  /** The last entry. It is added later, because a narrower range may begin at the same address. */
  readonly #last: Uint32Array
  #lastPrefix = NONE
  readonly #after: Uint32Array

  constructor(rows: Uint32Array, width: number, window: Window) {
    this.#rows = rows
    this.#width = width
    this.#window = window
    this.#entries = new Rows(width)
    this.#last = new Uint32Array(width)
    this.#after = new Uint32Array(width)
  }

  /** For each bucket, the prefix length of the narrowest range that fills it. Empty if no range fills a bucket. */
  get cover(): Uint8Array {
    return this.#cover
  }

  run(start: number, end: number): void {
    const stride = this.#width + 1
    const { skip, bits } = this.#window
    for (let row = start * stride; row < end * stride; row += stride) {
      if (row > 0 && this.#repeats(row)) continue
      const prefix = this.#prefixOf(row)
      if (prefix <= skip + bits) {
        if (this.#cover.length === 0) this.#cover = new Uint8Array(2 ** bits).fill(NONE)
        const bucket = bucketOf(this.#rows, row + (skip >>> 5), skip & 31, bits)
        this.#cover.fill(prefix, bucket, bucket + 2 ** (skip + bits - prefix))
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

  /** Whether a row equals the previous one. Duplicates must not cost as much as different ranges. */
  #repeats(row: number): boolean {
    const stride = this.#width + 1
    for (let place = row; place < row + stride; place += 1) {
      if (this.#rows[place] !== this.#rows[place - stride]) return false
    }
    return true
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

  /** Whether an address is in the range of a row. */
  #within(words: Uint32Array, offset: number, row: number): boolean {
    let left = this.#prefixOf(row)
    for (let word = 0; word < this.#width && left > 0; word += 1, left -= 32) {
      const difference = (words[offset + word] as number) ^ (this.#rows[row + word] as number)
      if ((difference & mask(left)) !== 0) return false
    }
    return true
  }

  /** Sets `after` to the first address after a range. After the last address of all, that is the first one. */
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
