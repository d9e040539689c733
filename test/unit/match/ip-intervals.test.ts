import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { lowestOutside, withoutAddresses } from '../../../src/match/ip-difference.ts'
import {
  createIpIntervalsBuilder,
  EVERY_ADDRESS,
  NO_ADDRESS,
  type Intervals,
  type IpIntervals,
} from '../../../src/match/ip-intervals.ts'
import { createIpSet } from '../../../src/match/ip-set.ts'
import { parseIp, parseIpRange, rangeText, type IpRange } from '../../../src/match/ip.ts'
import { runs } from '../../support/runs.ts'

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function intervalsOf(...ranges: string[]): IpIntervals {
  const builder = createIpIntervalsBuilder()
  for (const range of ranges) expect(builder.add(range)).toBeUndefined()
  return finish(builder.finish())
}

function spelled({ width, length, words }: Intervals): string[] {
  const at = (place: number): string => rangeText([...words.subarray(place, place + width)], 32 * width)
  return Array.from({ length }, (_, index) => `${at(2 * index * width)}-${at((2 * index + 1) * width)}`)
}

const all = ({ four, six }: IpIntervals): string[] => [...spelled(four), ...spelled(six)]
const LAST = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

describe('intervals of addresses', () => {
  it.each<[ranges: string[], intervals: string[]]>([
    [[], []],
    [['10.0.0.0/8'], ['10.0.0.0-10.255.255.255']],
    [['10.0.0.2', '10.0.0.1', '10.0.0.1'], ['10.0.0.1-10.0.0.2']],
    [
      ['10.0.0.1', '10.0.0.3'],
      ['10.0.0.1-10.0.0.1', '10.0.0.3-10.0.0.3'],
    ],
    [['10.0.0.0/8', '10.1.0.0/16', '11.0.0.0/8'], ['10.0.0.0-11.255.255.255']],
    [['0.0.0.0/1', '128.0.0.0/1'], ['0.0.0.0-255.255.255.255']],
    [
      ['255.255.255.255', '255.255.255.254/31', '0.0.0.0'],
      ['0.0.0.0-0.0.0.0', '255.255.255.254-255.255.255.255'],
    ],
    [['::/0', '::1'], [`::-${LAST}`]],
    [
      ['2001:db8::/64', '2001:db8:0:1::/65', '2001:db8:0:1:8000::/65'],
      ['2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff'],
    ],
    [['::ffff:ffff:ffff:ffff/128', '0:0:0:1::/64'], ['::ffff:ffff:ffff:ffff-::1:ffff:ffff:ffff:ffff']],
    [
      [LAST, '10.0.0.1'],
      ['10.0.0.1-10.0.0.1', `${LAST}-${LAST}`],
    ],
  ])('of %j are %j', (ranges, intervals) => {
    expect(all(intervalsOf(...ranges))).toEqual(intervals)
  })

  it('refuse invalid ranges, and keep the rest', () => {
    const builder = createIpIntervalsBuilder()
    expect(builder.add('10.0.0.1/8')).toMatchObject({ problem: 'host bits are set', corrected: '10.0.0.0/8' })
    expect(builder.add(parseIpRange('10.0.0.1') as IpRange)).toBeUndefined()
    expect(all(finish(builder.finish()))).toEqual(['10.0.0.1-10.0.0.1'])
  })

  it.each<[ranges: string[], others: string[], left: string[]]>([
    [['10.0.0.0/8'], [], ['10.0.0.0-10.255.255.255']],
    [['10.0.0.0/8'], ['10.0.0.0/8'], []],
    [['10.0.0.0/30'], ['10.0.0.1'], ['10.0.0.0-10.0.0.0', '10.0.0.2-10.0.0.3']],
    [
      ['10.0.0.0/30', '10.0.1.0/30'],
      ['10.0.0.2/31', '10.0.1.0/31'],
      ['10.0.0.0-10.0.0.1', '10.0.1.2-10.0.1.3'],
    ],
    [['10.0.0.0/30', '10.0.1.0/30'], ['10.0.0.0/16'], []],
    [['0.0.0.0/0'], ['0.0.0.0', '255.255.255.255'], ['0.0.0.1-255.255.255.254']],
    [['::/0'], ['::/1'], [`8000::-${LAST}`]],
    [['10.0.0.0/8'], ['::/0'], ['10.0.0.0-10.255.255.255']],
  ])('%j without %j are %j', (ranges, others, left) => {
    const found = finish(withoutAddresses(intervalsOf(...ranges), intervalsOf(...others)))
    expect(all(found)).toEqual(left)
    const [first] = left
    expect(finish(lowestOutside(intervalsOf(...ranges), intervalsOf(...others)))).toBe(first?.split('-')[0])
  })

  it('can contain all addresses or none', () => {
    expect(all(EVERY_ADDRESS)).toEqual(all(intervalsOf('0.0.0.0/0', '::/0')))
    expect(finish(lowestOutside(EVERY_ADDRESS, EVERY_ADDRESS))).toBeUndefined()
    expect(finish(lowestOutside(NO_ADDRESS, EVERY_ADDRESS))).toBeUndefined()
    expect(finish(lowestOutside(EVERY_ADDRESS, intervalsOf('0.0.0.0/0')))).toBe('::')
  })

  /** Ranges with few different bits, so that they overlap, and addresses around them. */
  const words = fc.constantFrom(0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff)
  const ranges = fc.oneof(
    fc.tuple(words, fc.integer({ min: 0, max: 32 })).map(([word, prefix]) => rangeText([word], prefix)),
    fc
      .tuple(words, words, words, words, fc.integer({ min: 0, max: 128 }))
      .map(([one, two, three, four, prefix]) => rangeText([one, two, three, four], prefix))
      // IPv4 in IPv6 notation is not a valid entry.
      .filter((text) => !('problem' in parseIpRange(text))),
  )
  const lists = fc.array(ranges, { maxLength: 8 })

  it('contain the same addresses as sets of the same ranges', () => {
    fc.assert(
      fc.property(lists, lists, (some, others) => {
        const [mine, theirs] = [some, others].map((texts) =>
          createIpSet(texts.map((text) => parseIpRange(text) as IpRange)),
        ) as [ReturnType<typeof createIpSet>, ReturnType<typeof createIpSet>]
        const left = finish(withoutAddresses(intervalsOf(...some), intervalsOf(...others)))
        const holds = (text: string): boolean => {
          const { version, words: asked } = parseIp(text)!
          const { width, length, words: held } = version === 4 ? left.four : left.six
          return Array.from({ length }, (_, index) => index).some(
            (index) =>
              ordered(held.subarray(2 * index * width, (2 * index + 1) * width), asked) &&
              ordered(asked, held.subarray((2 * index + 1) * width, (2 * index + 2) * width)),
          )
        }
        const wrong = edges([...some, ...others]).filter((text) => {
          const address = parseIp(text)!
          return holds(text) !== (mine.contains(address) && !theirs.contains(address))
        })
        expect(wrong).toEqual([])
        const lowest = finish(lowestOutside(intervalsOf(...some), intervalsOf(...others)))
        expect(lowest).toBe(all(left)[0]?.split('-')[0])
      }),
      { numRuns: runs(5_000) },
    )
  })

  function ordered(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
    for (let word = 0; word < one.length; word += 1)
      if (one[word] !== other[word]) return (one[word] as number) < (other[word] as number)
    return true
  }

  /** The first and the last address of each range, and their neighbours. */
  function edges(texts: readonly string[]): string[] {
    return texts.flatMap((text) => {
      const { first, last } = parseIpRange(text) as IpRange
      return [first, last, moved(first, -1), moved(last, 1)]
        .map((asked) => rangeText(asked, 32 * asked.length))
        .filter((asked) => parseIp(asked)?.version === (first.length === 1 ? 4 : 6))
    })
  }

  function moved(given: readonly number[], by: number): number[] {
    const after = [...given]
    for (let word = after.length - 1; word >= 0; word -= 1) {
      const sum = (after[word] as number) + by
      after[word] = sum >>> 0
      if (sum === after[word]) break
    }
    return after
  }

  it('are computed in steps that do not grow with the list', () => {
    const builder = createIpIntervalsBuilder()
    for (let index = 0; index < 20_000; index += 1) builder.add(`10.${index >> 8}.${index & 255}.0/25`)
    const steps = builder.finish()
    let count = 0
    while (steps.next().done !== true) count += 1
    expect(count).toBeGreaterThan(20)
  })
})
