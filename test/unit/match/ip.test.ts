import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { isIP } from 'node:net'
import { scanned, scanRange } from '../../../src/match/ip-text.ts'
import { parseIp, parseIpRange, rangeText, type IpRange } from '../../../src/match/ip.ts'
import { guessIpRange } from '../../../src/match/ip-guess.ts'
import {
  ADDRESSES,
  ADVISED_RANGES,
  CORRECTED_RANGES,
  NO_ADDRESSES,
  NO_RANGES,
  RANGES,
  SPELLED_RANGES,
} from './ip.corpus.ts'
import { runs } from '../../support/runs.ts'

/** Parses an entry as a range. A refusal fails the test. */
function rangeOf(entry: string): IpRange {
  const range = parseIpRange(entry)
  if ('problem' in range) throw new Error(`${entry} ${range.problem}`)
  return range
}

/** Converts an address to the integer that the test computes with. */
/** Writes an address in dotted decimal, or in groups without `::`. */
function written(version: 4 | 6, value: bigint): string {
  const width = version === 4 ? 8 : 16
  const parts = Array.from({ length: version === 4 ? 4 : 8 }, (_, index) =>
    BigInt.asUintN(width, value >> BigInt(width * index)).toString(version === 4 ? 10 : 16),
  )
  return parts.reverse().join(version === 4 ? '.' : ':')
}

function valueOf(words: readonly number[]): bigint {
  return words.reduce((value, word) => (value << 32n) | BigInt(word), 0n)
}

/** The result of ipaddr.js in our form. */
function recorded(text: string): { version: 4 | 6; value: bigint } {
  const address = ipaddr.process(text)
  const value = address.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return { version: address.kind() === 'ipv4' ? 4 : 6, value }
}

const ipv4 = fc.ipV4()
const groups = fc.array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff })), {
  minLength: 8,
  maxLength: 8,
})
/** Any RFC 4291 spelling of the same eight groups. */
const spelled = fc
  .record({
    groups,
    upper: fc.boolean(),
    full: fc.boolean(),
    dotted: fc.boolean(),
    gap: fc.integer({ min: 0, max: 7 }),
  })
  .map(({ groups, upper, full, dotted, gap }) => {
    const parts = groups.map((group) => group.toString(16).padStart(full ? 4 : 1, '0'))
    if (dotted) {
      const [high, low] = groups.slice(6) as [number, number]
      parts.splice(6, 2, [high >> 8, high & 255, low >> 8, low & 255].join('.'))
    }
    let end = gap
    while (end < parts.length && /^0+$/.test(parts[end] as string)) end += 1
    const text =
      end === gap ? parts.join(':') : `${parts.slice(0, gap).join(':')}::${parts.slice(end).join(':')}`
    const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)
    return { text: upper ? text.toUpperCase() : text, value }
  })
/** Texts similar to addresses, like mistakes or attacks. */
const nearly = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'0123456789abfxF.:%/[] -'), maxLength: 24 }),
  fc
    .tuple(
      fc.oneof(
        ipv4,
        fc.ipV6(),
        spelled.map(({ text }) => text),
      ),
      fc.nat(),
      fc.constantFrom(...'019afF.:%/ '),
    )
    .map(([text, at, character]) => {
      const index = at % (text.length + 1)
      return text.slice(0, index) + character + text.slice(index + (at % 2))
    }),
)

describe('parseIp', () => {
  for (const [text, version, canonical] of ADDRESSES) {
    it(`reads ${text} as ${canonical}`, () => {
      const address = parseIp(text)
      expect([address?.version, address?.text]).toEqual([version, canonical])
    })
  }

  for (const text of NO_ADDRESSES) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseIp(text)).toBeUndefined())
  }

  it('reads every spelling of an IPv6 address as the same number', () => {
    fc.assert(
      fc.property(spelled, ({ text, value }) => {
        const address = parseIp(text)
        const mapped = value >> 32n === 0xffffn
        expect(address?.version).toBe(mapped ? 4 : 6)
        expect(valueOf(address?.words ?? [])).toBe(mapped ? value & 0xffffffffn : value)
      }),
      { numRuns: runs(1000) },
    )
  })

  it('accepts exactly what Node accepts, except zones', () => {
    fc.assert(
      fc.property(fc.oneof(nearly, ipv4, fc.ipV6()), (text) => {
        expect(parseIp(text) !== undefined).toBe(!text.includes('%') && isIP(text) !== 0)
      }),
      { numRuns: runs(5000) },
    )
  })

  it('agrees with ipaddr.js on everything that it accepts', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          ipv4,
          fc.ipV6(),
          spelled.map(({ text }) => text),
          nearly,
        ),
        (text) => {
          const address = parseIp(text)
          // ipaddr.js treats the deprecated `::192.0.2.1` as `::ffff:192.0.2.1`. RFC 4291 2.5.5 distinguishes them.
          if (address === undefined || /^::[0-9]+\./.test(text)) return
          expect({ version: address.version, value: valueOf(address.words) }).toEqual(recorded(text))
        },
      ),
      { numRuns: runs(3000) },
    )
  })

  it('writes IPv6 as in URLs (RFC 5952), and reads what it writes', () => {
    fc.assert(
      fc.property(spelled, ({ text }) => {
        const address = parseIp(text)
        if (address?.version === 6) expect(`[${address.text}]`).toBe(new URL(`http://[${text}]/`).hostname)
        expect(parseIp(address?.text ?? '')).toEqual(address)
      }),
      { numRuns: runs(1000) },
    )
  })

  it('refuses a megabyte without reading it', () => {
    for (const text of ['1'.repeat(1e6), ':'.repeat(1e6), '0:'.repeat(5e5), '1.'.repeat(5e5)]) {
      expect(parseIp(text)).toBeUndefined()
    }
  })
})

describe('parseIpRange', () => {
  for (const [entry, canonical, first, last] of RANGES) {
    it(`reads ${entry} as ${canonical}`, () => {
      const range = rangeOf(entry)
      expect([range.text, range.first, range.last]).toEqual([
        canonical,
        parseIp(first)?.words,
        parseIp(last)?.words,
      ])
      expect(range.version).toBe(parseIp(first)?.version)
    })
  }

  for (const [entry, canonical] of SPELLED_RANGES) {
    it(`accepts ${entry} as ${canonical}`, () => {
      expect(parseIpRange(entry)).toMatchObject({ text: canonical })
      expect(parseIpRange(entry)).toEqual(parseIpRange(canonical))
    })
  }

  for (const [entry, problem, corrected] of CORRECTED_RANGES) {
    it(`refuses ${entry} and suggests ${corrected}`, () => {
      expect(parseIpRange(entry)).toEqual({ problem: expect.stringMatching(problem), corrected })
    })
  }

  it.each(ADVISED_RANGES)('refuses %j, and says how to write it', (entry, problem) => {
    expect(parseIpRange(entry)).toEqual({ problem })
  })

  it.each(NO_RANGES)('refuses %j, whose meaning is ambiguous', (entry) => {
    expect(parseIpRange(entry)).toEqual({ problem: expect.not.stringContaining('`') })
  })

  it.each(NO_ADDRESSES.filter((text) => !/\/(?:32|128)$/.test(text)))('refuses %j', (entry) => {
    expect(parseIpRange(entry)).toHaveProperty('problem')
  })

  it('accepts every correction that it suggests', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          spelled.map(({ text }) => text),
          fc.ipV6(),
          ipv4,
        ),
        fc.integer({ min: 0, max: 130 }),
        (host, prefix) => {
          const result = parseIpRange(`${host}/${prefix}`)
          const text = 'problem' in result ? result.corrected : result.text
          if (text !== undefined) expect(rangeOf(text).text).toBe(text)
        },
      ),
      { numRuns: runs(2000) },
    )
  })

  it('suggests for a span the fewest ranges with exactly its addresses, or none', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), fc.nat(32), (first, distance, shift) => {
        const last = Math.min(first + Math.floor(distance / 2 ** shift), 2 ** 32 - 1)
        const [problem, ...meant] =
          guessIpRange(`${written(4, BigInt(first))}-${written(4, BigInt(last))}`) ?? []
        expect(problem).toBe('is a span of addresses')
        const ranges = meant.map(rangeOf)
        let next = BigInt(first)
        for (const [index, range] of ranges.entries()) {
          expect([range.version, valueOf(range.first)]).toEqual([4, next])
          next = valueOf(range.last) + 1n
          // Two adjacent ranges that form one range would be listed as one.
          if (ranges[index + 1]?.prefix !== range.prefix) continue
          expect(parseIpRange(`${range.text.split('/')[0]}/${range.prefix - 1}`)).toHaveProperty('problem')
        }
        if (meant.length > 0) expect(next).toBe(BigInt(last) + 1n)
      }),
      { numRuns: runs(1000) },
    )
  })

  it('has the same bounds as in ipaddr.js', () => {
    fc.assert(
      fc.property(
        fc.oneof(ipv4, fc.ipV6()).filter((text) => !/^::[0-9]+\./.test(text)),
        fc.nat(128),
        fc.oneof(ipv4, fc.ipV6()),
        (host, bits, other) => {
          const address = parseIp(host)
          if (address === undefined) throw new Error(`${host} is an address`)
          const prefix = bits % (32 * address.words.length + 1)
          const range = rangeOf(rangeText(address.words, prefix))
          for (const text of [host, other]) {
            const candidate = parseIp(text)
            if (candidate === undefined || candidate.version !== range.version) continue
            const value = valueOf(candidate.words)
            const inside = value >= valueOf(range.first) && value <= valueOf(range.last)
            const record = ipaddr.process(candidate.text)
            expect(inside).toBe(record.match(ipaddr.process(address.text), prefix))
          }
        },
      ),
      { numRuns: runs(1000) },
    )
  })
})

describe('scanRange', () => {
  /** The result of the allocation-free scanner, in the form of parseIpRange. */
  function scannedRange(text: string): { version: number; first: bigint; prefix: number } | undefined {
    const version = scanRange(text)
    if (version === 0) return undefined
    const words = Array.from(scanned.words.subarray(0, version === 4 ? 1 : 4))
    return { version, first: valueOf(words), prefix: scanned.prefix }
  }

  function parsedRange(text: string): { version: number; first: bigint; prefix: number } | undefined {
    const range = parseIpRange(text)
    // It reads only the canonical spelling of a range, with or without the full prefix length.
    if ('problem' in range || ![text, text.replace(/\/(32|128)$/, '')].includes(range.text)) return undefined
    return { version: range.version, first: valueOf(range.first), prefix: range.prefix }
  }

  const corpus = [
    ...RANGES.map(([entry]) => entry),
    ...CORRECTED_RANGES.map(([entry]) => entry),
    ...SPELLED_RANGES.flat(),
    ...NO_RANGES,
    ...ADDRESSES.map(([text]) => text),
    ...NO_ADDRESSES,
  ]
  it.each([...new Set(corpus)])('reads %j as parseIpRange does, or not at all', (text) => {
    expect(scannedRange(text)).toEqual(parsedRange(text))
  })

  const hosts = fc.oneof(
    ipv4,
    fc.ipV6(),
    spelled.map(({ text }) => text),
    spelled.map(({ text }) => parseIp(text)?.text ?? ''),
    nearly,
  )
  const suffixes = fc.oneof(
    fc.constant(''),
    fc.integer({ min: 0, max: 130 }).map((prefix) => `/${prefix}`),
    nearly,
  )
  /** Valid ranges, and texts that are similar or unrelated. */
  const anyText = fc.oneof(
    fc.tuple(hosts, suffixes).map(([host, suffix]) => host + suffix),
    fc.tuple(hosts, fc.nat(128)).map(([host, bits]) => {
      const words = parseIp(host)?.words ?? [0]
      return rangeText(words, bits % (32 * words.length + 1))
    }),
  )

  it('reads every text as parseIpRange does, or not at all', () => {
    fc.assert(
      fc.property(anyText, (text) => expect(scannedRange(text)).toEqual(parsedRange(text))),
      { numRuns: runs(20_000) },
    )
  })

  it('agrees with ipaddr.js on everything that it accepts', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const range = scannedRange(text)
        if (range === undefined) return
        const [host, prefix] = ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${range.prefix}`)
        const value = host.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
        expect(range).toEqual({ version: host.kind() === 'ipv4' ? 4 : 6, first: value, prefix })
        expect(host.toString()).toBe(text.split('/')[0])
      }),
      { numRuns: runs(20_000) },
    )
  })
})
