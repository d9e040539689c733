import { rangeText, type IpAddress, type IpRange } from './ip.ts'

/** Any number of address ranges of both versions. The versions are separate: `::/0` holds no IPv4 address. */
export interface IpSet {
  /** How many ranges were given. */
  readonly size: number
  contains(address: IpAddress): boolean
  /** The canonical text of a range that contains the address: the narrowest of them. */
  find(address: IpAddress): string | undefined
}

/**
 * Makes a set. A look-up is one binary search, however many ranges there are and however they overlap. The ranges are not
 * kept: a range of IPv4 takes 10 bytes at most, one of IPv6 34.
 */
export function createIpSet(ranges: readonly IpRange[]): IpSet {
  const families = { 4: createFamily(ranges, 4), 6: createFamily(ranges, 6) }
  return {
    size: ranges.length,
    contains: ({ version, words }) => families[version](words) !== NONE,
    find: ({ version, words }) => {
      const prefix = families[version](words)
      return prefix === NONE ? undefined : rangeText(words, prefix)
    },
  }
}

/** Stands for "in no range" where otherwise a prefix length of 0 to 128 stands. */
const NONE = 255

/**
 * CIDR ranges nest or are disjoint. Laid on the line of all addresses they cut it into segments, in each of which another
 * range is the narrowest. A segment is kept as its first address and the prefix length of that range, from which together
 * with the address looked up the range follows.
 */
function createFamily(ranges: readonly IpRange[], version: 4 | 6): (words: readonly number[]) => number {
  const width = version === 4 ? 1 : 4
  const sorted = ranges
    .filter((range) => range.version === version)
    .toSorted((a, b) => compare(a.first, b.first) || a.prefix - b.prefix)
  const starts = new Uint32Array(2 * sorted.length * width)
  const prefixes = new Uint8Array(2 * sorted.length)
  let count = 0

  function begin(start: readonly number[], prefix: number): void {
    const before = count === 0 ? NONE : prefixes[count - 1]
    if (before === prefix) return
    starts.set(start, count * width)
    prefixes[count] = prefix
    count += 1
  }

  const open: IpRange[] = []
  function closeThoseBefore(next: readonly number[] | undefined): void {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (next !== undefined && compare(top.last, next) >= 0) return
      open.pop()
      const after = successor(top.last)
      if (after !== undefined) begin(after, open.at(-1)?.prefix ?? NONE)
    }
  }

  for (const range of sorted) {
    closeThoseBefore(range.first)
    open.push(range)
    begin(range.first, range.prefix)
  }
  closeThoseBefore(undefined)
  return search(starts.slice(0, count * width), prefixes.slice(0, count))
}

/**
 * Finds the last segment that begins at or before an address. Of several that begin at one address that is the latest: the
 * narrowest range that opened there, or the one that is left when others have closed.
 */
function search(starts: Uint32Array, prefixes: Uint8Array): (words: readonly number[]) => number {
  return (words) => {
    let low = 0
    let high = prefixes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareAt(starts, middle, words) <= 0) low = middle + 1
      else high = middle
    }
    return low === 0 ? NONE : (prefixes[low - 1] as number)
  }
}

/** The order of entry `index` of a list of addresses laid end to end, and an address. */
function compareAt(list: Uint32Array, index: number, words: readonly number[]): number {
  const start = index * words.length
  for (let word = 0; word < words.length; word += 1) {
    const difference = (list[start + word] as number) - (words[word] as number)
    if (difference !== 0) return difference
  }
  return 0
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, word] of a.entries()) {
    const difference = word - (b[index] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** The address after this one; `undefined` after the last of all. */
function successor(words: readonly number[]): number[] | undefined {
  const next = [...words]
  for (let word = next.length - 1; word >= 0; word -= 1) {
    if (next[word] !== 0xffffffff) {
      next[word] = (next[word] as number) + 1
      return next
    }
    next[word] = 0
  }
  return undefined
}
