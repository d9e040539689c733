import { Rows, sortedRows, STEP } from './ip-rows.ts'
import { mask, scanned, scanRange } from './ip-text.ts'
import { parseIpRange, type IpRange } from './ip.ts'
import { copy } from './ip-words.ts'
import { isProblem, type Problem } from './problem.ts'

/**
 * Addresses of one version as intervals: in ascending order, disjoint and never adjacent, so equal sets have equal intervals.
 * Each interval takes the words of its first and its last address.
 */
export interface Intervals {
  /** The number of words of an address. */
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
  /**
   * Adds an entry of a list. Returns why an invalid entry is refused, as `parseIpRange` does; a refused entry is not added.
   */
  add(entry: string | IpRange): Problem | undefined
  /** Creates the set in steps of a fraction of a millisecond each. The work is linear in the number of entries. */
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

/** The first half of an IPv6 address is its network. Ranges of networks are sorted by half as many words. */
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
      return {
        four: yield* joinedFour(four),
        six: yield* joinedSix(yield* sortedRows(networks), yield* sortedRows(hosts)),
      }
    },
  }
}

/** The IPv4 ranges as intervals. Unlike IPv6, their addresses are single numbers that can be added. */
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

/** The IPv6 ranges as intervals. A network has two words and a host has four, each followed by its prefix length. */
function* joinedSix(networks: Uint32Array, hosts: Uint32Array): Generator<void, Intervals> {
  const words = new Uint32Array(8 * (networks.length / 3 + hosts.length / 5))
  const range = new Uint32Array(5)
  let length = 0
  let network = 0
  let host = 0
  for (let taken = 1; network < networks.length || host < hosts.length; taken += 1) {
    if (host < hosts.length && (network >= networks.length || isBefore(hosts, host, networks, network))) {
      copy(hosts, host, range, 0, 5)
      host += 5
    } else {
      range[0] = networks[network] as number
      range[1] = networks[network + 1] as number
      range[2] = range[3] = 0
      range[4] = networks[network + 2] as number
      network += 3
    }
    length = coverSix(words, length, range)
    if (taken % STEP === 0) yield
  }
  return { width: 4, length, words: words.subarray(0, 8 * length) }
}

/** Whether a host is lower than the first address of a network. */
function isBefore(hosts: Uint32Array, host: number, networks: Uint32Array, network: number): boolean {
  const difference = (hosts[host] as number) - (networks[network] as number)
  return (
    difference < 0 || (difference === 0 && (hosts[host + 1] as number) < (networks[network + 1] as number))
  )
}

/**
 * Adds a range (four words and a prefix length) to intervals. The ranges added before must be lower, or wider with the same
 * first address. Returns the new number of intervals.
 */
function coverSix(words: Uint32Array, length: number, range: Uint32Array): number {
  const one = range[0] as number
  const two = range[1] as number
  const three = range[2] as number
  const four = range[3] as number
  const prefix = range[4] as number
  let end = 8 * length - 4
  let intervals = length
  const place = length > 0 ? placeBehind(words, end, one, two, three, four) : 1
  // Two ranges are nested or disjoint: a range that begins inside another also ends inside it.
  if (place < 0) return length
  if (place > 0) {
    end = 8 * length + 4
    copy(range, 0, words, end - 4, 4)
    intervals += 1
  }
  words[end] = one | ~mask(prefix)
  words[end + 1] = two | ~mask(prefix - 32)
  words[end + 2] = three | ~mask(prefix - 64)
  words[end + 3] = four | ~mask(prefix - 96)
  return intervals
}

/**
 * The position of an address relative to the end of an interval: negative if it is not after the end, zero if it is the next
 * address, positive if there is a gap.
 */
function placeBehind(
  words: Uint32Array,
  end: number,
  one: number,
  two: number,
  three: number,
  four: number,
): number {
  const last1 = words[end] as number
  const last2 = words[end + 1] as number
  const last3 = words[end + 2] as number
  const last4 = words[end + 3] as number
  if ((one - last1 || two - last2 || three - last3 || four - last4) <= 0) return -1
  const next4 = (last4 + 1) >>> 0
  const next3 = next4 === 0 ? (last3 + 1) >>> 0 : last3
  const next2 = next4 === 0 && next3 === 0 ? (last2 + 1) >>> 0 : last2
  const next1 = next4 === 0 && next3 === 0 && next2 === 0 ? last1 + 1 : last1
  return one === next1 && two === next2 && three === next3 && four === next4 ? 0 : 1
}
