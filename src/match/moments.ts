/** The number of rows in a step of long work, and in a page. */
const STEP = 4_096

/** The expiry of ranges of one version. Sorted, so a hostile list cannot make look-ups slow. */
export class Moments {
  readonly #words: Uint32Array
  readonly #prefixes: Uint8Array
  readonly #moments: Float64Array
  readonly #width: number
  readonly #length: number

  /** The rows must be in ascending order, without duplicate ranges. */
  constructor(
    words: Uint32Array,
    prefixes: Uint8Array,
    moments: Float64Array,
    length: number,
    width: number,
  ) {
    this.#words = words
    this.#prefixes = prefixes
    this.#moments = moments
    this.#length = length
    this.#width = width
  }

  get bytes(): number {
    return this.#words.byteLength + this.#prefixes.byteLength + this.#moments.byteLength
  }

  /** The expiry in milliseconds since the epoch. `-Infinity` if the range is not in the list. */
  of(first: ArrayLike<number>, prefix: number): number {
    let [low, high] = [0, this.#length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = this.#order(middle, first, prefix)
      if (order === 0) return this.#moments[middle] as number
      if (order < 0) low = middle + 1
      else high = middle
    }
    return Number.NEGATIVE_INFINITY
  }

  #order(row: number, first: ArrayLike<number>, prefix: number): number {
    for (let word = 0, place = row * this.#width; word < this.#width; word += 1, place += 1) {
      const difference = (this.#words[place] as number) - (first[word] as number)
      if (difference !== 0) return difference
    }
    return (this.#prefixes[row] as number) - prefix
  }
}

/** Ranges and their expiry, in any order. */
export class MomentRows {
  readonly #width: number
  readonly #stride: number
  readonly #pages: Uint32Array[] = []
  readonly #moments: Float64Array[] = []
  #length = 0

  /** @param width The number of words of an address. */
  constructor(width: number) {
    this.#width = width
    this.#stride = width + 1
  }

  push(first: ArrayLike<number>, prefix: number, moment: number): void {
    const place = this.#length % STEP
    if (place === 0) {
      this.#pages.push(new Uint32Array(STEP * this.#stride))
      this.#moments.push(new Float64Array(STEP))
    }
    const page = this.#pages.at(-1) as Uint32Array
    for (let word = 0; word < this.#width; word += 1)
      page[place * this.#stride + word] = first[word] as number
    page[place * this.#stride + this.#width] = prefix
    ;(this.#moments.at(-1) as Float64Array)[place] = moment
    this.#length += 1
  }

  /** Sorts the rows, in steps. A duplicate range expires at the later moment. */
  *sorted(): Generator<void, Moments> {
    const rows = yield* this.#sortedRows()
    const [words, prefixes, moments] = [
      new Uint32Array(rows.length * this.#width),
      new Uint8Array(rows.length),
      new Float64Array(rows.length),
    ]
    let length = 0
    for (let index = 0; index < rows.length; index += 1) {
      const row = rows[index] as number
      const moment = (this.#moments[Math.floor(row / STEP)] as Float64Array)[row % STEP] as number
      if (index > 0 && this.#order(rows[index - 1] as number, row) === 0) {
        moments[length - 1] = Math.max(moment, moments[length - 1] as number)
      } else {
        for (let word = 0; word < this.#width; word += 1) {
          words[length * this.#width + word] = this.#at(row, word)
        }
        prefixes[length] = this.#at(row, this.#width)
        moments[length] = moment
        length += 1
      }
      if (index % STEP === STEP - 1) yield
    }
    return new Moments(words, prefixes, moments, length, this.#width)
  }

  /** Merges runs of doubling length. */
  *#sortedRows(): Generator<void, Uint32Array> {
    const count = this.#length
    let from = new Uint32Array(count)
    let to = new Uint32Array(count)
    for (let row = 0; row < count; row += 1) {
      from[row] = row
      if (row % STEP === STEP - 1) yield
    }
    let done = 0
    for (let run = 1; run < count; run *= 2) {
      for (let start = 0; start < count; start += 2 * run) {
        const [middle, end] = [Math.min(count, start + run), Math.min(count, start + 2 * run)]
        let [left, right] = [start, middle]
        for (let place = start; place < end; place += 1) {
          const isLeft =
            right === end || (left < middle && this.#order(from[left] as number, from[right] as number) <= 0)
          to[place] = from[isLeft ? left : right] as number
          if (isLeft) left += 1
          else right += 1
          done += 1
          if (done % STEP === 0) yield
        }
      }
      ;[from, to] = [to, from]
    }
    return from
  }

  #order(row: number, other: number): number {
    for (let word = 0; word <= this.#width; word += 1) {
      const difference = this.#at(row, word) - this.#at(other, word)
      if (difference !== 0) return difference
    }
    return 0
  }

  #at(row: number, word: number): number {
    return (this.#pages[Math.floor(row / STEP)] as Uint32Array)[(row % STEP) * this.#stride + word] as number
  }
}
