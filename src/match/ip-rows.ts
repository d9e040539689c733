/** The number of rows in a step of long work. Between two steps, the caller can do something else. */
export const STEP = 4_096

const SMALLEST_PAGE = 16

/**
 * A growing list of ranges: the words of the first address, and the prefix length. It grows in pages, and never copies more
 * than one page.
 */
export class Rows {
  readonly width: number
  #length = 0
  #widest = 128
  readonly #pages: Uint32Array[] = []

  /** @param width The number of words of an address. */
  constructor(width: number) {
    this.width = width
  }

  get length(): number {
    return this.#length
  }

  /** The shortest prefix length. */
  get widest(): number {
    return this.#widest
  }

  /** Each page contains the rows of one step. The last page may be partly filled. */
  get pages(): readonly Uint32Array[] {
    return this.#pages
  }

  push(words: ArrayLike<number>, offset: number, prefix: number): void {
    const stride = this.width + 1
    const place = (this.#length % STEP) * stride
    const page = this.#pageFor(place)
    for (let word = 0; word < this.width; word += 1) page[place + word] = words[offset + word] as number
    page[place + this.width] = prefix
    if (prefix < this.#widest) this.#widest = prefix
    this.#length += 1
  }

  #pageFor(place: number): Uint32Array {
    const pages = this.#pages
    if (place === 0) pages.push(new Uint32Array(SMALLEST_PAGE * (this.width + 1)))
    const last = pages.at(-1) as Uint32Array
    if (place < last.length) return last
    const larger = new Uint32Array(2 * last.length)
    larger.set(last)
    pages[pages.length - 1] = larger
    return larger
  }
}

/**
 * Returns the rows in ascending order; if the first address is the same, the widest range comes first. A radix sort by bytes,
 * least significant first: its time does not depend on the values, and it can pause after any step.
 */
export function* sortedRows(rows: Rows): Generator<void, Uint32Array> {
  const stride = rows.width + 1
  let from = new Uint32Array(rows.length * stride)
  let filled = 0
  for (const page of rows.pages) {
    const used = page.subarray(0, Math.min(page.length, from.length - filled))
    from.set(used, filled)
    filled += used.length
    yield
  }
  let to = new Uint32Array(from.length)
  const places = new Uint32Array(256)
  for (let digit = 0; digit <= 4 * rows.width; digit += 1) {
    // The prefix length, the last word of a row, needs only one digit.
    const word = rows.width - ((digit + 3) >>> 2)
    const shift = digit === 0 ? 0 : 8 * ((digit - 1) % 4)
    places.fill(0)
    for (let start = 0; start < rows.length; start += STEP) {
      count(from, places, word, shift, stride, start)
      yield
    }
    if (places.includes(rows.length)) continue
    toPlaces(places)
    for (let start = 0; start < rows.length; start += STEP) {
      distribute(from, to, places, word, shift, stride, start)
      yield
    }
    const sorted = to
    to = from
    from = sorted
  }
  return from
}

function count(
  rows: Uint32Array,
  counts: Uint32Array,
  word: number,
  shift: number,
  stride: number,
  start: number,
): void {
  const end = Math.min(rows.length, (start + STEP) * stride)
  for (let row = start * stride; row < end; row += stride) {
    const digit = ((rows[row + word] as number) >>> shift) & 255
    counts[digit] = (counts[digit] as number) + 1
  }
}

/** Converts the number of rows for each digit to the index of the first of them. */
function toPlaces(counts: Uint32Array): void {
  let place = 0
  for (let digit = 0; digit < 256; digit += 1) {
    const rows = counts[digit] as number
    counts[digit] = place
    place += rows
  }
}

function distribute(
  from: Uint32Array,
  to: Uint32Array,
  places: Uint32Array,
  word: number,
  shift: number,
  stride: number,
  start: number,
): void {
  const end = Math.min(from.length, (start + STEP) * stride)
  for (let row = start * stride; row < end; row += stride) {
    const digit = ((from[row + word] as number) >>> shift) & 255
    const place = places[digit] as number
    places[digit] = place + 1
    const target = place * stride
    for (let offset = 0; offset < stride; offset += 1) to[target + offset] = from[row + offset] as number
  }
}
