import { describe, expect, it } from '@jest/globals'
import { lintPolicy } from 'portcullis'
import { rangeText } from '../../../src/match/ip.ts'
import { growth } from '../../support/work.ts'

const address = (word: number): string => rangeText([word >>> 0], 32)
const list = (count: number, spell: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => spell(index))

const SHORT = 2_000
const LONG = 8 * SHORT

describe('long lists', () => {
  it.each<[string, (count: number) => object, findings: (count: number) => number]>([
    [
      'neighbours',
      (count) => ({ ranges: list(count, (index) => `${address(0x10000000 + 256 * index)}/24`) }),
      () => 7,
    ],
    [
      'ranges inside of one',
      (count) => ({ ranges: ['16.0.0.0/8', ...list(count, (index) => address(0x10000000 + 2 * index))] }),
      (count) => count + 1,
    ],
    [
      'ranges that are denied one by one, in another order',
      (count) => ({
        ranges: list(count, (index) => address(0x10000000 + 2 * index)),
        deny: list(count, (index) => address(0x10000000 + 2 * ((index * 7) % count))),
      }),
      (count) => count + 1,
    ],
  ])('checks 100,000 %s without comparing all pairs', (_, make, findings) => {
    const judge = (count: number) => {
      const members = make(count)
      return () => lintPolicy({ appId: 'a', ipWhitelist: { mode: 'enforce', ...members } })
    }
    const found = judge(100_000)()
    expect(found.filter(({ path }) => path.startsWith('ipWhitelist.'))).toHaveLength(findings(100_000))
    // Comparing all pairs would be 64 times the work. Sorting takes a little more than eight times.
    expect(growth(judge, { from: SHORT, to: LONG })).toBeLessThan(12)
  })
})
