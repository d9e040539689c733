import { describe, expect, it } from '@jest/globals'
import { compileClientAddress } from '../../../src/match/client-address.ts'
import { createOriginSet } from '../../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry } from '../../../src/match/origin.ts'
import { createReturnUrlSet } from '../../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../../src/match/return-url.ts'
import { growth } from '../../support/work.ts'

/** The limit for a text ten times as long. Comparing all pairs of characters would cost a hundred times as much. */
const LINEAR = 12

function known<Parsed extends object>(parsed: Parsed): Exclude<Parsed, { problem: unknown }> {
  if ('problem' in parsed) throw new Error(JSON.stringify(parsed))
  return parsed as Exclude<Parsed, { problem: unknown }>
}

function set<Url>(
  make: (size: number) => { find(url: Url): unknown },
  url: (index: number) => Url,
): (size: number) => () => unknown {
  return (size) => {
    const among = make(size)
    return () => {
      for (let index = 0; index < 20; index += 1) expect(among.find(url(index))).toBeDefined()
    }
  }
}

describe('finding one among 20,000 is as much work as among 20', () => {
  const list = <Entry>(size: number, entry: (index: number) => Entry): Entry[] =>
    Array.from({ length: size }, (_, index) => entry(index))

  it('wildcards of origins', () => {
    const make = (size: number) =>
      createOriginSet(list(size, (index) => known(parseOriginEntry(`https://*.app${index}.example`))))
    const finding = set(make, (index) => `https://a.b.app${index}.example`)
    expect(growth(finding, { from: 20, to: 20_000 })).toBeLessThan(2)
  })

  it('return URLs', () => {
    const make = (size: number) =>
      createReturnUrlSet(
        list(size, (index) => known(parseReturnUrlEntry(`https://app${index}.example/callback/${index}/`))),
      )
    const finding = set(make, (index) =>
      known(parseReturnUrl(`https://app${index}.example/callback/${index}/x`)),
    )
    expect(growth(finding, { from: 20, to: 20_000 })).toBeLessThan(2)
  })
})

describe('ten times as much text is ten times as much work', () => {
  it.each(['a', 'a.', '*.', '.', ':', '/', 'https://', '\u00fc'])('for an origin of %j', (part) => {
    const parsing = (size: number) => {
      const text = part.repeat(size / part.length)
      return () => [parseOriginEntry(text), parseOriginEntry(`${text}:x`), parseOrigin(text)]
    }
    expect(growth(parsing, { from: 100_000, to: 1_000_000 })).toBeLessThan(LINEAR)
  })

  it.each<[string, (size: number) => string]>([
    ['percent signs', (size) => `https://example.org/${'%25'.repeat(size / 3)}`],
    ['layers of encoding', (size) => `https://example.org/%${'25'.repeat(size / 2)}`],
    ['empty segments', (size) => `https://example.org/${'/'.repeat(size)}`],
    ['segments', (size) => `https://example.org/${'a/'.repeat(size / 2)}`],
    ['semicolons', (size) => `https://example.org/${';'.repeat(size)}`],
    ['labels', (size) => `https://${'a.'.repeat(size / 2)}org/`],
    ['letters of a scheme', (size) => 'a'.repeat(size)],
    ['brackets', (size) => `https://${'['.repeat(size)}`],
    ['combining marks', (size) => `https://example.org/${'%CC%81'.repeat(size / 6)}`],
    ['ligatures that expand 18-fold', (size) => `https://example.org/${'%EF%B7%BA'.repeat(size / 9)}`],
  ])('for a return URL of %s', (_name, make) => {
    const parsing = (size: number) => {
      const text = make(size)
      return () => parseReturnUrl(text)
    }
    expect(growth(parsing, { from: 200, to: 2000 })).toBeLessThan(LINEAR)
  })

  it('for a path in a set of return URLs', () => {
    const finding = (segments: number) => {
      const entry = `https://example.org/${'a/'.repeat(segments)}`
      const urls = createReturnUrlSet([known(parseReturnUrlEntry(entry))])
      const [inside, outside] = [`${entry}x`, `${entry.slice(0, -2)}x`].map((url) =>
        known(parseReturnUrl(url)),
      )
      return () => [inside, outside].map((url) => urls.find(url as NonNullable<typeof url>) !== undefined)
    }
    expect(finding(1000)()).toEqual([true, false])
    expect(growth(finding, { from: 100, to: 1000 })).toBeLessThan(LINEAR)
  })

  it('and no work for a return URL that is too long', () => {
    const parsing = (size: number) => () => parseReturnUrl('https://example.org/'.padEnd(size, '%2e'))
    expect(growth(parsing, { from: 10_000, to: 1_000_000 })).toBe(1)
  })
})

describe('ten times as long a header is ten times as much work', () => {
  const LIST = 'x-forwarded-for'
  const read = (header: 'forwarded' | typeof LIST | 'x-real-ip', lines: readonly string[]) =>
    compileClientAddress({ trustedProxies: ['10.0.0.0/8', '2001:db8:ffff::/48'], header }, 'test').read(
      '10.0.0.1',
      lines,
    )

  /** The part that is repeated to the length of the header, and the text around it. */
  it.each<[header: Parameters<typeof read>[0], string, part: string, ahead?: string, behind?: string]>([
    [LIST, 'of trusted hops', '10.0.0.2,', '', '10.0.0.2'],
    [LIST, 'of commas', ','],
    [LIST, 'of blanks', ' '],
    [LIST, 'of blanks between two hops', ' ', '10.0.0.2', 'x'],
    [LIST, 'of digits', '1'],
    ['forwarded', 'of trusted hops', 'for=10.0.0.2,', '', 'for=10.0.0.2'],
    ['forwarded', 'of blanks', ' ', 'for=', 'x'],
    ['forwarded', 'of blanks after the node', ' ', 'for=10.0.0.2', 'x'],
    ['forwarded', 'of semicolons', ';'],
    ['forwarded', 'of pairs', 'a=b;'],
    ['forwarded', 'of a token', 'a', 'for='],
    ['forwarded', 'of a name', 'a'],
    ['forwarded', 'of quotation marks', '"'],
    ['forwarded', 'of backslashes in quotation marks', '\\', 'for="', '"'],
    ['forwarded', 'of an open quotation', '\\a', 'for="'],
    ['forwarded', 'of an endless port', 'a', 'for="10.0.0.2:_', '"'],
    ['forwarded', 'of an endless bracket', ':', 'for="[', '"'],
    ['x-real-ip', 'of blanks', ' '],
  ])('%s %s', (header, _what, part, ahead = '', behind = '') => {
    const reading = (size: number) => {
      const line = ahead + part.repeat(size / part.length) + behind
      return () => read(header, [line])
    }
    expect(growth(reading, { from: 1_638, to: 16_380 })).toBeLessThan(LINEAR)
  })

  it.each<['forwarded' | typeof LIST, string]>([
    [LIST, '2001:db8:ffff::1'],
    ['forwarded', 'for="[2001:db8:ffff::1]:443";proto=https'],
  ])('%s in many lines', (header, hop) => {
    const walking = (hops: number) => {
      const lines = Array.from({ length: hops }, () => hop)
      return () => read(header, lines)
    }
    expect(growth(walking, { from: 1_000, to: 10_000 })).toBeLessThan(LINEAR)
  })
})
