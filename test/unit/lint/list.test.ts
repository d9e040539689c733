import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { lintList, lintPolicy, type ListEntry } from 'portcullis'
import { rangeText } from '../../../src/match/ip.ts'
import { entryOf } from '../../../src/lint/special-purpose.ts'

const listed = (...ranges: readonly string[]): ListEntry[] => ranges.map((range) => ({ range }))
const BOTH = ['5.6.7.0/24', '2a01:1::/32']

/** The findings, as `code path`. */
function found(entries: readonly ListEntry[], now?: number): string[] {
  return lintList(entries, now).map(({ code, path }) => `${code} ${path}`.trimEnd())
}

const octets = Array.from({ length: 256 }, (_, index) => index)

describe('lintList', () => {
  const cases: [string, readonly string[], readonly string[]][] = [
    ['nothing of a list of both versions', BOTH, []],
    ['an empty list', [], ['empty-list']],
    ['the whole of IPv4', ['0.0.0.0/0', BOTH[1] as string], ['admits-everybody', 'admits-everybody [0]']],
    ['the whole of IPv6', ['::/0', '5.6.7.8'], ['admits-everybody', 'admits-everybody [0]']],
    [
      'its halves',
      ['128.0.0.0/1', '0.0.0.0/1', '2a01:1::/32'],
      ['admits-everybody', 'wide-range [0]', 'admits-everybody [1]'],
    ],
    [
      'more than half of IPv6 in three',
      ['2000::/5', '2800::/5', '3000::/6', '1.2.3.4'],
      ['admits-everybody', 'wide-range [0]', 'wide-range [1]', 'wide-range [2]'],
    ],
    ['a lack of IPv6', ['5.6.7.0/24'], ['ipv6-missing']],
    ['a lack of IPv4', ['2a01:1::/32'], ['ipv4-missing']],
    [
      'a range that another holds',
      [...BOTH, '5.6.0.0/16', '2a01:1:2::/48'],
      ['entry-swallowed [0]', 'entry-swallowed [3]'],
    ],
    ['a range that is there twice', [...BOTH, ...BOTH], ['entry-swallowed [2]', 'entry-swallowed [3]']],
    ['one address that is there twice', ['5.6.7.8', '5.6.7.8/32', '2a01::1'], ['entry-swallowed [1]']],
    [
      'private and other special ranges',
      ['10.1.0.0/16', 'fc00::1', '224.0.0.1', '2001:db8::/48', '4000::/3'],
      [0, 1, 2, 3, 4].map((index) => `special-purpose [${index}]`),
    ],
    [
      'a range that is too wide for an owner',
      [...BOTH, '12.0.0.0/7', '2a00::/12'],
      ['entry-swallowed [1]', 'wide-range [2]', 'wide-range [3]'],
    ],
    [
      'neither of what only begins like a special range',
      ['192.1.2.3', '172.15.0.0/16', '2001:4860::/32', '198.20.0.1', '100.63.0.1'],
      [],
    ],
  ]
  for (const [what, ranges, codes] of cases) {
    it(`reports ${what}`, () => expect(found(listed(...ranges)).sort()).toEqual([...codes].sort()))
  }

  it('finds ranges that add up to the whole internet, and ignores private ranges', () => {
    const all = octets.flatMap((first) => octets.map((second) => `${first}.${second}.0.0/16`))
    expect(lintList(listed(...all))[0]).toMatchObject({
      code: 'admits-everybody',
      path: '',
      severity: 'danger',
      message: expect.stringContaining('100 % of the IPv4') as unknown,
    })
    const third = all.filter((_, index) => index % 3 === 0)
    expect(found(listed(...third))).not.toContain('admits-everybody')
    expect(found(listed('240.0.0.0/4', '10.0.0.0/8', '127.0.0.0/8', '0.0.0.0/8', ...third))).not.toContain(
      'admits-everybody',
    )
  })

  it('reports expired entries if it is given the time', () => {
    const entries = [{ range: '5.6.7.0/24', expires: '2030-01-31T12:00:00Z' }, { range: '2a01::/32' }]
    const moment = Date.UTC(2030, 0, 31, 12)
    expect(found(entries)).toEqual([])
    expect(found(entries, moment - 1)).toEqual([])
    expect(found(entries, moment)).toEqual(['entry-expired [0]'])
  })

  it('reports twenty findings of a kind, and the number of others', () => {
    const found = lintList(listed('2a01::/32', ...octets.map((last) => `10.0.0.${last}`)))
    expect(found).toHaveLength(20)
    expect(found.at(-1)?.message).toMatch(/; the same applies to 236 more$/)
  })

  it('refuses an invalid entry, and says which', () => {
    expect(() => lintList(listed(...BOTH, '5.6.7.8/24'))).toThrow(
      'list refused: `entries[2].range`: host bits are set, got "5.6.7.8/24"; write `5.6.7.0/24`',
    )
  })

  it('finds the same ranges within others as a naive search', () => {
    const range = fc
      .tuple(fc.boolean(), fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }), fc.nat(128))
      .map(([four, words, length]) => {
        const prefix = four ? 16 + (length % 17) : length
        const spread = words.map((word) => ((word << 30) | word) >>> 0)
        return rangeText(four ? spread.slice(0, 1) : spread, prefix)
      })
    fc.assert(
      fc.property(fc.array(range, { maxLength: 19 }), (ranges) => {
        const entries = ranges.map((range, index) => entryOf(range, index))
        const inside = entries.filter((inner) =>
          entries.some(
            (outer) =>
              outer.version === inner.version &&
              outer.first <= inner.first &&
              inner.last <= outer.last &&
              (outer.prefix < inner.prefix || outer.index < inner.index),
          ),
        )
        expect(found(listed(...ranges)).filter((code) => code.startsWith('entry-swallowed'))).toHaveLength(
          inside.length,
        )
      }),
    )
  })

  it('agrees with lintPolicy on ranges that are too wide, special or within another', () => {
    const ranges = [
      '0.0.0.0/2',
      '10.0.0.0/8',
      '9.9.9.9',
      '2a00::/11',
      '2a01::1',
      'fe80::/10',
      '192.0.0.0/8',
      '192.168.0.0/16',
    ]
    const codes = ['wide-range', 'special-purpose', 'entry-swallowed']
    const of = (findings: readonly { code: string; path: string }[]): string[] =>
      findings
        .filter(({ code }) => codes.includes(code))
        .map(({ code, path }) => `${code} ${path.replace('ipWhitelist.ranges', '')}`)
        .sort()
    const policy = { appId: 'a', ipWhitelist: { mode: 'enforce', ranges } }
    expect(of(lintList(listed(...ranges)))).toEqual(of(lintPolicy(policy)))
  })
})
