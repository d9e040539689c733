import { Rows, sortedRows, STEP } from './ip-rows.ts'
import { mask, scanned, scanRange } from './ip-text.ts'
import { parseIpRange, rangeText, type IpRange } from './ip.ts'
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
class IntervalsWriter {
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

/** The addresses of one set that another does not have, in steps. */
export function* withoutAddresses(all: IpIntervals, others: IpIntervals): Generator<void, IpIntervals> {
  if (others.four.length + others.six.length === 0) return all
  return { four: yield* without(all.four, others.four), six: yield* without(all.six, others.six) }
}

function* without(all: Intervals, others: Intervals): Generator<void, Intervals> {
  const into = new IntervalsWriter(all.width, all.length + others.length)
  yield* walkOutside(all, others, (first, last) => {
    into.cover(first, 0, last, 0)
    return true
  })
  return into.finish()
}

/** Whether two sets are the same, in steps. */
function* equal(one: Intervals, other: Intervals): Generator<void, boolean> {
  if (one.length !== other.length) return false
  const size = 2 * one.width * one.length
  for (let start = 0; start < size; start += 8 * STEP) {
    const [mine, others] = [one, other].map(({ words }) => bytesOf(words.subarray(start, start + 8 * STEP)))
    if (mine?.equals(others as Buffer) !== true) return false
    yield
  }
  return true
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** The lowest address of one set that another does not have, IPv4 first; `undefined` where there is no such address. */
export function* lowestOutside(all: IpIntervals, others: IpIntervals): Generator<void, string | undefined> {
  for (const version of ['four', 'six'] as const) {
    let found: string | undefined
    if (yield* equal(all[version], others[version])) continue
    yield* walkOutside(all[version], others[version], (first) => {
      found = rangeText([...first], 32 * first.length)
      return false
    })
    if (found !== undefined) return found
  }
  return undefined
}

/** Walks over both sets at once. What is told is over with the call; `false` ends the walk. */
function* walkOutside(
  all: Intervals,
  others: Intervals,
  found: (first: Uint32Array, last: Uint32Array) => boolean,
): Generator<void, void> {
  const { width } = all
  const [from, to] = [new Uint32Array(width), new Uint32Array(width)]
  let other = 0
  for (let index = 0, steps = 0; index < all.length; index += 1) {
    const last = (2 * index + 1) * width
    copy(all.words, 2 * index * width, from, 0, width)
    let left = true
    // Those that end before this interval begins hold nothing of it, nor of any that follows.
    for (; other < others.length; other += 1) {
      if (++steps % STEP === 0) yield
      const [first, end] = [2 * other * width, (2 * other + 1) * width]
      if (order(others.words, end, from, 0, width) < 0) continue
      if (order(others.words, first, all.words, last, width) > 0) break
      if (order(others.words, first, from, 0, width) > 0) {
        stepBefore(others.words, first, to)
        if (!found(from, to)) return
      }
      if (order(others.words, end, all.words, last, width) >= 0) {
        left = false
        break
      }
      stepOver(others.words, end, from)
    }
    if (left) {
      copy(all.words, last, to, 0, width)
      if (!found(from, to)) return
    }
    if (++steps % STEP === 0) yield
  }
}

function order(one: Uint32Array, at: number, other: Uint32Array, otherAt: number, width: number): number {
  for (let word = 0; word < width; word += 1) {
    const difference = (one[at + word] as number) - (other[otherAt + word] as number)
    if (difference !== 0) return difference
  }
  return 0
}

function copy(from: Uint32Array, at: number, to: Uint32Array, toAt: number, width: number): void {
  for (let word = 0; word < width; word += 1) to[toAt + word] = from[at + word] as number
}

/** Writes the address behind this one. False: this one is the last of all. */
function stepOver(words: Uint32Array, at: number, after: Uint32Array): boolean {
  copy(words, at, after, 0, after.length)
  for (let word = after.length - 1; word >= 0; word -= 1) {
    after[word] = (after[word] as number) + 1
    if (after[word] !== 0) return true
  }
  return false
}

/** Writes the address before this one, which is not the first of all. */
function stepBefore(words: Uint32Array, at: number, before: Uint32Array): void {
  copy(words, at, before, 0, before.length)
  for (let word = before.length - 1; word >= 0; word -= 1) {
    before[word] = (before[word] as number) - 1
    if (before[word] !== ALL_BITS) return
  }
}
