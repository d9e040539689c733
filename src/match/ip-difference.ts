import type { Intervals, IpIntervals } from './ip-intervals.ts'
import { STEP } from './ip-rows.ts'
import { copy, order, stepBefore, stepOver } from './ip-words.ts'
import { rangeText } from './ip.ts'

/** The addresses of one set that are not in another, in steps. */
export function* withoutAddresses(all: IpIntervals, others: IpIntervals): Generator<void, IpIntervals> {
  if (others.four.length + others.six.length === 0) return all
  return { four: yield* without(all.four, others.four), six: yield* without(all.six, others.six) }
}

function* without(all: Intervals, others: Intervals): Generator<void, Intervals> {
  const { width } = all
  const words = new Uint32Array(2 * width * (all.length + others.length))
  let length = 0
  // Two intervals of the result are never adjacent: a removed address or a gap is between them.
  yield* walkOutside(all, others, (first, last) => {
    copy(first, 0, words, 2 * length * width, width)
    copy(last, 0, words, (2 * length + 1) * width, width)
    length += 1
    return true
  })
  return { width, length, words: words.subarray(0, 2 * length * width) }
}

/** Whether two sets are equal, in steps. */
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

/** The lowest address of one set that is not in another, IPv4 first. `undefined` if there is no such address. */
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

/**
 * Walks over both sets at once. The arrays that the callback receives are reused after the call. If it returns `false`, the
 * walk ends.
 */
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
    // Intervals that end before this one begins contain no address of it, nor of any later one.
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
