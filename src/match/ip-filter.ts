import { STEP, type Rows } from './ip-rows.ts'
import type { IpAddress } from './ip.ts'

const BITS_OF_A_ROW = 8

/**
 * A small table that rules out most /64 networks without a range, so that a look-up seldom has to search two large tables. It
 * may report a range that does not exist, but never misses one.
 */
export class NetworkFilter {
  readonly #bits: Uint8Array
  readonly #shift: number

  private constructor(rows: number) {
    const exponent = Math.min(32, Math.max(6, 32 - Math.clz32(rows * BITS_OF_A_ROW - 1)))
    this.#shift = 32 - exponent
    this.#bits = new Uint8Array(2 ** (exponent - 3))
  }

  /** Creates a filter of ranges with a prefix longer than 64 bits, in steps. */
  static *of(rows: Rows): Generator<void, NetworkFilter> {
    const filter = new NetworkFilter(rows.length)
    for (const [page, words] of rows.pages.entries()) {
      filter.#add(words, rows.width + 1, Math.min(rows.length - page * STEP, STEP))
      yield
    }
    return filter
  }

  get bytes(): number {
    return this.#bits.byteLength
  }

  mayHold(address: IpAddress): boolean {
    const place = this.#placeOf(address.word0, address.word1)
    return (((this.#bits[place >>> 3] as number) >>> (place & 7)) & 1) === 1
  }

  #add(words: Uint32Array, stride: number, rows: number): void {
    for (let row = 0; row < rows * stride; row += stride) {
      const place = this.#placeOf(words[row] as number, words[row + 1] as number)
      this.#bits[place >>> 3] = (this.#bits[place >>> 3] as number) | (1 << (place & 7))
    }
  }

  #placeOf(first: number, second: number): number {
    const mixed = Math.imul(first, 0x9e3779b1) ^ second
    return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> this.#shift
  }
}
