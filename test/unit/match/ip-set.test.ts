import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createIpSet, createIpSetBuilder, type IpSet, type IpSetBuilder } from '../../../src/match/ip-set.ts'
import { parseIp, parseIpRange, rangeText, type IpAddress, type IpRange } from '../../../src/match/ip.ts'
import { CORRECTED_RANGES, NO_ADDRESSES, NO_RANGES, RANGES } from './ip.corpus.ts'
import { runs } from '../../support/runs.ts'

function address(text: string): IpAddress {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}

function range(text: string): IpRange {
  const parsed = parseIpRange(text)
  if ('problem' in parsed) throw new Error(`${text} ${parsed.problem}`)
  return parsed
}

const setOf = (...texts: string[]): IpSet => createIpSet(texts.map(range))

function valueOf(words: readonly number[]): bigint {
  return words.reduce((value, word) => (value << 32n) | BigInt(word), 0n)
}

/** The naive answer: all ranges that contain the address, narrowest first. */
function oracle(ranges: readonly IpRange[], { version, words }: IpAddress): string | undefined {
  return ranges
    .filter((candidate) => candidate.version === version)
    .filter(({ first, last }) => valueOf(first) <= valueOf(words) && valueOf(words) <= valueOf(last))
    .toSorted((a, b) => b.prefix - a.prefix)[0]?.text
}

const nested = ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3']

/** Ranges, addresses, and the expected entry. */
const cases: readonly (readonly [ranges: readonly string[], asked: string, found: string | undefined])[] = [
  [[], '192.0.2.1', undefined],
  [[], '::1', undefined],
  [['192.0.2.1'], '192.0.2.1', '192.0.2.1'],
  [['192.0.2.1'], '192.0.2.0', undefined],
  [['192.0.2.1'], '192.0.2.2', undefined],
  [['192.0.2.0/24'], '192.0.1.255', undefined],
  [['192.0.2.0/24'], '192.0.2.0', '192.0.2.0/24'],
  [['192.0.2.0/24'], '192.0.2.255', '192.0.2.0/24'],
  [['192.0.2.0/24'], '192.0.3.0', undefined],
  [['192.0.2.0/24'], '::ffff:192.0.2.9', '192.0.2.0/24'],
  [['192.0.2.0/24'], '::ffff:c000:209', '192.0.2.0/24'],
  [['192.0.2.0/24'], '::192.0.2.9', undefined],
  [['192.0.2.0/24'], '64:ff9b::192.0.2.9', undefined],
  [['192.0.2.0/24'], '2002:c000:209::', undefined],
  // The sign bit of 32-bit arithmetic, and both ends of the address space.
  [['128.0.0.0/1'], '127.255.255.255', undefined],
  [['128.0.0.0/1'], '128.0.0.0', '128.0.0.0/1'],
  [['128.0.0.0/1'], '255.255.255.255', '128.0.0.0/1'],
  [['0.0.0.0/1'], '200.0.0.1', undefined],
  [['255.255.255.255'], '255.255.255.255', '255.255.255.255'],
  [['255.255.255.255'], '255.255.255.254', undefined],
  [['0.0.0.0'], '0.0.0.0', '0.0.0.0'],
  [['0.0.0.0'], '0.0.0.1', undefined],
  [['0.0.0.0/0'], '255.255.255.255', '0.0.0.0/0'],
  // The IP versions are separate.
  [['::/0'], '192.0.2.1', undefined],
  [['::/0'], '::ffff:192.0.2.1', undefined],
  [['0.0.0.0/0'], '::', undefined],
  [['0.0.0.0/0'], '::1', undefined],
  [['::/0'], 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::/0'],
  [['2001:db8::/33'], '2001:db8:7fff::1', '2001:db8::/33'],
  [['2001:db8::/33'], '2001:db8:8000::', undefined],
  [['2001:db8::/64'], '2001:db8:0:0:ffff:ffff:ffff:ffff', '2001:db8::/64'],
  [['2001:db8::/64'], '2001:db8:0:1::', undefined],
  [['8000::/1'], '7fff::', undefined],
  [['8000::/1'], 'ffff::', '8000::/1'],
  // A smaller entry does not hide a larger one, on either side of it.
  [nested, '10.1.2.3', '10.1.2.3'],
  [nested, '10.1.2.4', '10.1.2.0/24'],
  [nested, '10.1.2.2', '10.1.2.0/24'],
  [nested, '10.1.3.0', '10.1.0.0/16'],
  [nested, '10.1.1.255', '10.1.0.0/16'],
  [nested, '10.2.0.0', '10.0.0.0/8'],
  [nested, '10.255.255.255', '10.0.0.0/8'],
  [nested, '11.0.0.0', undefined],
  [['10.0.0.0/8', '10.0.0.0/24', '10.0.0.0'], '10.0.0.0', '10.0.0.0'],
  [['10.0.0.0/8', '10.0.0.0/24', '10.0.0.0'], '10.0.0.1', '10.0.0.0/24'],
  [['10.0.0.0/8', '10.0.0.0/24', '10.0.0.0'], '10.0.1.0', '10.0.0.0/8'],
  [['10.0.0.0/8', '10.255.255.0/24', '10.255.255.255'], '11.0.0.0', undefined],
  [['0.0.0.0/0', '255.255.255.255'], '255.255.255.254', '0.0.0.0/0'],
  // A single address at the end of a larger entry, with neighbours that move the search to each side of it.
  [['10.0.0.0/8', '10.255.255.255'], '10.255.255.255', '10.255.255.255'],
  [['1.0.0.0', '10.0.0.0/8', '10.255.255.255'], '10.255.255.255', '10.255.255.255'],
  [['10.0.0.0/8', '10.255.255.255', '12.0.0.0'], '10.255.255.255', '10.255.255.255'],
  // Neighbours, and one entry twice.
  [['10.0.0.0/25', '10.0.0.128/25'], '10.0.0.127', '10.0.0.0/25'],
  [['10.0.0.0/25', '10.0.0.128/25'], '10.0.0.128', '10.0.0.128/25'],
  [['10.0.0.0/25', '10.0.0.128/25'], '10.0.1.0', undefined],
  [['10.0.0.0/24', '10.0.0.0/24', '10.0.0.5', '10.0.0.5'], '10.0.0.6', '10.0.0.0/24'],
]

/** Few addresses and mostly small ranges, at both ends and in the middle, so that ranges touch, nest and repeat. */
const crowdedRange = fc
  .record({
    width: fc.constantFrom(1, 4),
    fill: fc.constantFrom(0, 0x80000000, 0xffffffff),
    low: fc.nat(15),
    fromEnd: fc.oneof({ weight: 4, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: fc.nat(128) }),
  })
  .map(({ width, fill, low, fromEnd }) => {
    const words: number[] = Array.from({ length: width }, () => fill)
    words[width - 1] = ((fill & ~15) | low) >>> 0
    return range(rangeText(words, Math.max(0, 32 * width - fromEnd)))
  })
const anyRange = fc
  .record({ text: fc.oneof(fc.ipV4(), fc.ipV6()), prefix: fc.nat(128) })
  .map(({ text, prefix }) => {
    const { words } = address(text)
    return range(rangeText(words, prefix % (32 * words.length + 1)))
  })

/** The addresses where an answer can change: the ends of a range and their neighbours. */
function edges({ version, first, last }: IpRange): IpAddress[] {
  const bits = version === 4 ? 32n : 128n
  const values = [valueOf(first) - 1n, valueOf(first), valueOf(last), valueOf(last) + 1n]
  return values
    .filter((value) => value >= 0n && value < 1n << bits)
    .map((value) => {
      const words = Array.from({ length: Number(bits / 32n) }, (_, index) =>
        Number((value >> (bits - 32n * BigInt(index + 1))) & 0xffffffffn),
      )
      return address(rangeText(words, Number(bits)))
    })
}

describe('createIpSet', () => {
  for (const [texts, asked, found] of cases) {
    it(`finds ${found ?? 'nothing'} for ${asked} in [${texts.join(' ')}]`, () => {
      for (const order of [texts, texts.toReversed()]) {
        const set = setOf(...order)
        expect(set.find(address(asked))).toBe(found)
        expect(set.contains(address(asked))).toBe(found !== undefined)
      }
    })
  }

  it('counts the given entries, of both versions and with repetitions', () => {
    expect(setOf().size).toBe(0)
    expect(setOf('192.0.2.1', '192.0.2.1', '::/0').size).toBe(3)
  })

  it('agrees with a naive search at every edge, with any overlaps', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(crowdedRange, anyRange), { maxLength: 24, size: 'max' }), (ranges) => {
        const set = createIpSet(ranges)
        for (const asked of ranges.flatMap(edges)) {
          const expected = oracle(ranges, asked)
          if (set.find(asked) !== expected || set.contains(asked) !== (expected !== undefined)) {
            throw new Error(`${asked.text}: ${set.find(asked)}, expected ${expected}`)
          }
        }
      }),
      { numRuns: runs(150) },
    )
  })

  it('neither changes nor keeps the list', () => {
    const ranges = [range('10.0.0.0/8'), range('9.0.0.0/8')]
    const set = createIpSet(ranges)
    expect(ranges.map(({ text }) => text)).toEqual(['10.0.0.0/8', '9.0.0.0/8'])
    ranges.length = 0
    expect(set.contains(address('10.0.0.1'))).toBe(true)
  })
})

/** Drives a builder to its end. */
function built(builder: IpSetBuilder): IpSet {
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

describe('createIpSetBuilder', () => {
  it('accepts texts and ranges', () => {
    const builder = createIpSetBuilder()
    expect(builder.add('10.0.0.0/8')).toBeUndefined()
    expect(builder.add(range('2001:db8::/32'))).toBeUndefined()
    expect(builder.size).toBe(2)
    const set = built(builder)
    expect(set.size).toBe(2)
    expect(set.find(address('10.1.2.3'))).toBe('10.0.0.0/8')
    expect(set.find(address('2001:db8::1'))).toBe('2001:db8::/32')
  })

  it.each([...CORRECTED_RANGES.map(([text]) => text), ...NO_RANGES, ...NO_ADDRESSES])(
    'agrees with parseIpRange on %j, and adds nothing unless it is a range',
    (text) => {
      const builder = createIpSetBuilder()
      const expected = parseIpRange(text)
      expect(builder.add(text)).toEqual('problem' in expected ? expected : undefined)
      expect(builder.size).toBe('problem' in expected ? 0 : 1)
    },
  )

  it.each(RANGES)('finds %s as %s', (text, canonical, first, last) => {
    const builder = createIpSetBuilder()
    builder.add(text)
    const set = built(builder)
    expect([set.find(address(first)), set.find(address(last))]).toEqual([canonical, canonical])
  })

  it('is empty after building a set, and entries added meanwhile belong to the next set', () => {
    const builder = createIpSetBuilder()
    builder.add('10.0.0.0/8')
    const steps = builder.finish()
    expect(builder.size).toBe(0)
    builder.add('192.0.2.0/24')
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    expect([step.value.size, step.value.contains(address('192.0.2.1'))]).toEqual([1, false])
    expect(built(builder).find(address('192.0.2.1'))).toBe('192.0.2.0/24')
  })

  it('can build two sets at once, with alternating steps', () => {
    const sets = ['10', '11'].map((first) => {
      const builder = createIpSetBuilder()
      for (let index = 0; index < 20_000; index += 1) builder.add(`${first}.0.${index >> 8}.${index & 255}`)
      return { steps: builder.finish(), made: undefined as IpSet | undefined }
    })
    while (sets.some(({ made }) => made === undefined)) {
      for (const set of sets) {
        const step = set.steps.next()
        if (step.done === true) set.made ??= step.value
      }
    }
    const found = sets.map(({ made }) => [made?.find(address('10.0.9.9')), made?.find(address('11.0.9.9'))])
    expect(found).toEqual([
      ['10.0.9.9', undefined],
      [undefined, '11.0.9.9'],
    ])
  })

  it('divides the work of longer lists into more steps', () => {
    const counts = [10_000, 100_000].map((size) => {
      const builder = createIpSetBuilder()
      for (let index = 0; index < size; index += 1)
        builder.add(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`)
      return [...builder.finish()].length
    }) as [number, number]
    expect(counts[1]).toBeGreaterThan(5 * counts[0])
  })
})
