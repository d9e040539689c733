import { Rows, sortedRows, STEP } from './ip-rows.ts'
import { mask, scanned, scanRange } from './ip-text.ts'
import { parseIpRange, type IpRange } from './ip.ts'
import { copy, order, stepOver } from './ip-words.ts'
import { isProblem, type Problem } from './problem.ts'

/**
 * Addresses of one version as intervals: in ascending order, disjoint, and with a gap between each two, so that equal sets are
 * equal intervals. Each takes the words of its first and of its last address.
 */
export interface Intervals {
  /** How many words an address has. */
  readonly width: 1 | 4
  readonly length: number
  readonly words: Uint32Array
}

/** A set of addresses of both versions. */
export interface IpIntervals {
  readonly four: Intervals
  readonly six: Intervals
}

export interface IpIntervalsBuilder {
  /** Adds an entry of a list; answers why it is refused, as `parseIpRange` does, and then has added nothing. */
  add(entry: string | IpRange): Problem | undefined
  /** Makes the set, in steps that take a fraction of a millisecond each. Linear in the number of entries. */
  finish(): Generator<void, IpIntervals>
}

const ALL_BITS = 0xffffffff

/** No address. */
export const NO_ADDRESS: IpIntervals = {
  four: { width: 1, length: 0, words: new Uint32Array() },
  six: { width: 4, length: 0, words: new Uint32Array() },
}

/** Every address. */
export const EVERY_ADDRESS: IpIntervals = {
  four: { width: 1, length: 1, words: Uint32Array.of(0, ALL_BITS) },
  six: { width: 4, length: 1, words: Uint32Array.of(0, 0, 0, 0, ALL_BITS, ALL_BITS, ALL_BITS, ALL_BITS) },
}

/** Half of an IPv6 address is its network: such ranges are sorted by half as many words. */
const NETWORK_BITS = 64

export function createIpIntervalsBuilder(): IpIntervalsBuilder {
  const [four, networks, hosts] = [new Rows(1), new Rows(2), new Rows(4)]

  function push(version: 4 | 6, words: ArrayLike<number>, prefix: number): void {
    const table = version === 4 ? four : prefix <= NETWORK_BITS ? networks : hosts
    table.push(words, 0, prefix)
  }

  return {
    add(entry) {
      if (typeof entry === 'string') {
        const version = scanRange(entry)
        if (version !== 0) {
          push(version, scanned.words, scanned.prefix)
          return undefined
        }
      }
      const range = typeof entry === 'string' ? parseIpRange(entry) : entry
      if (isProblem(range)) return range
      push(range.version, range.first, range.prefix)
      return undefined
    },
    *finish() {
      return { four: yield* joinedFour(four), six: yield* merged([networks, hosts]) }
    },
  }
}

/** The ranges of IPv4 as intervals. Apart from the others, because numbers of 32 bits can be added. */
function* joinedFour(rows: Rows): Generator<void, Intervals> {
  const sorted = yield* sortedRows(rows)
  const words = new Uint32Array(sorted.length)
  let length = 0
  let end = Number.NEGATIVE_INFINITY
  for (let start = 0; start < sorted.length; start += 2 * STEP) {
    const stop = Math.min(sorted.length, start + 2 * STEP)
    for (let row = start; row < stop; row += 2) {
      const first = sorted[row] as number
      const last = first + 2 ** (32 - (sorted[row + 1] as number)) - 1
      if (first > end + 1) {
        words[2 * length] = first
        length += 1
        end = last
      } else if (last > end) end = last
      words[2 * length - 1] = end
    }
    yield
  }
  return { width: 1, length, words: words.subarray(0, 2 * length) }
}

/** Sorts each table of IPv6 by itself, and merges the results. */
function* merged(tables: readonly Rows[]): Generator<void, Intervals> {
  const width = 4
  const rows = tables.reduce((sum, { length }) => sum + length, 0)
  const into = new IntervalsWriter(width, rows)
  const readers: RowReader[] = []
  for (const table of tables) {
    if (table.length > 0) readers.push(new RowReader(yield* sortedRows(table), table.width, width))
  }
  for (let taken = 1; ; taken += 1) {
    const [one, other] = readers
    let next = one
    if (one === undefined || one.done) next = other
    else if (other !== undefined && !other.done && order(other.first, 0, one.first, 0, width) < 0)
      next = other
    if (next === undefined || next.done) return into.finish()
    into.cover(next.first, 0, next.last, 0)
    next.advance()
    if (taken % STEP === 0) yield
  }
}

/** Reads sorted ranges one after the other as first and last address. */
class RowReader {
  readonly first: Uint32Array
  readonly last: Uint32Array
  readonly #rows: Uint32Array
  readonly #width: number
  #row = 0

  constructor(rows: Uint32Array, rowWidth: number, width: number) {
    this.#rows = rows
    this.#width = rowWidth
    this.first = new Uint32Array(width)
    this.last = new Uint32Array(width)
    this.#read()
  }

  get done(): boolean {
    return this.#row >= this.#rows.length
  }

  advance(): void {
    this.#row += this.#width + 1
    if (!this.done) this.#read()
  }

  #read(): void {
    const prefix = this.#rows[this.#row + this.#width] as number
    for (let word = 0; word < this.first.length; word += 1) {
      const value = word < this.#width ? (this.#rows[this.#row + word] as number) : 0
      this.first[word] = value
      this.last[word] = value | ~mask(prefix - 32 * word)
    }
  }
}

/** Takes intervals in the order of their first addresses, and joins what meets. */
export class IntervalsWriter {
  readonly #width: 1 | 4
  readonly #words: Uint32Array
  readonly #after: Uint32Array
  #length = 0

  constructor(width: 1 | 4, most: number) {
    this.#width = width
    this.#words = new Uint32Array(2 * width * most)
    this.#after = new Uint32Array(width)
  }

  cover(first: Uint32Array, firstAt: number, last: Uint32Array, lastAt: number): void {
    const width = this.#width
    const words = this.#words
    if (this.#length > 0) {
      const held = (2 * this.#length - 1) * width
      const isLastOfAll = !stepOver(words, held, this.#after)
      if (isLastOfAll || order(first, firstAt, this.#after, 0, width) <= 0) {
        if (order(last, lastAt, words, held, width) > 0) copy(last, lastAt, words, held, width)
        return
      }
    }
    const place = 2 * this.#length * width
    copy(first, firstAt, words, place, width)
    copy(last, lastAt, words, place + width, width)
    this.#length += 1
  }

  finish(): Intervals {
    const words = this.#words.subarray(0, 2 * this.#length * this.#width)
    return { width: this.#width, length: this.#length, words }
  }
}
