import { describe, expect, it } from '@jest/globals'
import { createIpSetBuilder, type IpSet } from '../../../src/match/ip-set.ts'
import { rangeText, type IpAddress } from '../../../src/match/ip.ts'

/** Pseudo-random numbers, which are the same in every run. */
function randomWords(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state ^ (state >>> 15)) >>> 0
  }
}

interface Population {
  readonly width: 1 | 4
  readonly ranges: number
  readonly prefixes: readonly number[]
  /** Creates the words of an address from random ones. */
  readonly shape: (random: readonly number[]) => number[]
}

const ANY = (random: readonly number[]): number[] => [...random]

/** Sets of all sizes and kinds: sparse and dense, flat and nested, spread and clustered. */
const populations: Readonly<Record<string, Population>> = {
  'a few ranges of IPv4': { width: 1, ranges: 40, prefixes: [0, 1, 4, 8, 12, 24, 32], shape: ANY },
  'thousands of ranges of IPv4': {
    width: 1,
    ranges: 5_000,
    prefixes: [6, 9, 16, 17, 20, 24, 32],
    shape: ANY,
  },
  'three hundred thousand of IPv4': {
    width: 1,
    ranges: 300_000,
    prefixes: [12, 16, 17, 24, 28, 32],
    shape: ANY,
  },
  'IPv4 in one /12, nested to the last address': {
    width: 1,
    ranges: 30_000,
    prefixes: [12, 13, 15, 18, 21, 24, 25, 26, 27, 28, 29, 30, 31, 32],
    shape: ([word = 0]) => [(0xac100000 | (word & 0xfffff)) >>> 0],
  },
  'IPv4 at both ends of the line': {
    width: 1,
    ranges: 500,
    prefixes: [23, 24, 28, 31, 32],
    shape: ([word = 0]) => [((word & 1 ? 0xfffff000 : 0) | (word >>> 20)) >>> 0],
  },
  'networks of IPv6': {
    width: 4,
    ranges: 300_000,
    prefixes: [20, 32, 33, 48, 56, 63, 64],
    shape: ([first = 0, second = 0, ...rest]) => [0x20000000 + (first >>> 16), second, ...rest],
  },
  'hosts and networks of IPv6 in one /32': {
    width: 4,
    ranges: 20_000,
    prefixes: [32, 48, 49, 64, 65, 96, 97, 112, 127, 128],
    shape: ([, second = 0, third = 0, fourth = 0]) => [0x20010db8, second >>> 20, third & 3, fourth & 0xffff],
  },
  'IPv6 in one /64': {
    width: 4,
    ranges: 20_000,
    prefixes: [64, 66, 80, 96, 104, 120, 124, 126, 128],
    shape: ([, , third = 0, fourth = 0]) => [0x20010db8, 7, third >>> 28, fourth & 0xfffff],
  },
  'IPv4 in one /16, every address several times': {
    width: 1,
    ranges: 300_000,
    prefixes: [20, 24, 28, 31, 32],
    shape: ([word = 0]) => [(0xcb000000 | (word & 0x3fff)) >>> 0],
  },
  'IPv6 that differs from the last bits of a word on': {
    width: 4,
    ranges: 20_000,
    prefixes: [29, 31, 32, 33, 40, 48, 64, 80, 128],
    shape: ([first = 0, second = 0, , fourth = 0]) => [0x20010db8 + (first >>> 29), second, 0, fourth],
  },
  'IPv6 all over': { width: 4, ranges: 2_000, prefixes: [8, 9, 16, 32, 64, 65, 100, 128], shape: ANY },
}

const CASES = 50_000

/** The beginnings of ranges by prefix length. A look-up tries every length, longest first. */
type Oracle = ReadonlyMap<number, ReadonlySet<string | number>>

const clear = (words: readonly number[], prefix: number): number[] =>
  words.map((word, index) => {
    const kept = Math.max(0, Math.min(32, prefix - 32 * index))
    return word - (word % 2 ** (32 - kept))
  })

const keyOf = (words: readonly number[]): string | number =>
  words.length === 1 ? (words[0] ?? 0) : words.join()

function populate({ width, ranges, prefixes, shape }: Population): {
  set: IpSet
  oracle: Oracle
  firsts: number[][]
} {
  const random = randomWords(ranges + width)
  const oracle = new Map(
    prefixes.toSorted((a, b) => b - a).map((prefix) => [prefix, new Set<string | number>()]),
  )
  const firsts: number[][] = []
  const builder = createIpSetBuilder()
  for (let index = 0; index < ranges; index += 1) {
    // Wide ranges are rare, because otherwise they would cover everything.
    const prefix = prefixes[Math.max(random() % prefixes.length, random() % prefixes.length)] ?? 0
    const words = clear(shape(Array.from({ length: width }, random)), prefix)
    firsts.push(words)
    oracle.get(prefix)?.add(keyOf(words))
    const problem = builder.add(rangeText(words, prefix))
    if (problem !== undefined) throw new Error(`${rangeText(words, prefix)} ${problem.problem}`)
  }
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return { set: step.value, oracle, firsts }
  }
}

/** The prefix length of the narrowest range that contains an address. */
function narrowest(oracle: Oracle, words: readonly number[]): number | undefined {
  for (const [prefix, starts] of oracle) if (starts.has(keyOf(clear(words, prefix)))) return prefix
  return undefined
}

describe('an address set and a naive search', () => {
  it.each(Object.entries(populations))(`agree on ${CASES} addresses: %s`, (_name, population) => {
    const { set, oracle, firsts } = populate(population)
    const random = randomWords(7)
    let found = 0
    for (let index = 0; index < CASES; index += 1) {
      const anywhere = population.shape(Array.from({ length: population.width }, random))
      const words = index % 3 === 0 ? anywhere : near(firsts[random() % firsts.length] ?? [], random())
      const asked = addressOf(words)
      const prefix = narrowest(oracle, words)
      if (prefix !== undefined) found += 1
      let agree = set.contains(asked) === (prefix !== undefined)
      // Formatting a range takes longer than finding it.
      if (index % 4 === 0) {
        agree &&= set.find(asked) === (prefix === undefined ? undefined : rangeText(words, prefix))
      }
      if (!agree)
        throw new Error(`${rangeText(words, 128)} is in a range of length ${prefix}, not ${set.find(asked)}`)
    }
    // Neither answer may be rare, because otherwise the test would show little.
    expect(found).toBeGreaterThan(CASES / 20)
    expect(found).toBeLessThan(CASES)
  })
})

/** Creates an address directly, because formatting and parsing it would take longer than everything else. */
function addressOf(words: readonly number[]): IpAddress {
  const [word0, word1, word2, word3] = [0, 1, 2, 3].map((place) => (words[place] ?? 0) | 0) as [
    number,
    number,
    number,
    number,
  ]
  const version = words.length === 1 ? 4 : 6
  return {
    version,
    words,
    word0,
    word1,
    word2,
    word3,
    get text() {
      return rangeText(words, version === 4 ? 32 : 128)
    },
  }
}

/** The first address of a range, the one before it, or one some distance after it. */
function near(first: readonly number[], random: number): number[] {
  let carry = [-1, 0, 1, random >>> 24, random >>> 16, random >>> 8][random % 6] ?? 0
  return first
    .toReversed()
    .map((word) => {
      const sum = word + carry
      carry = Math.floor(sum / 2 ** 32)
      return sum - carry * 2 ** 32
    })
    .toReversed()
}
