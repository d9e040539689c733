import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createIpSet } from '../../../src/match/ip-set.ts'
import { parseIp, parseIpRange, type IpRange } from '../../../src/match/ip.ts'
import { nearestDomains, nearestRanges, nearestReturnUrls } from '../../../src/match/nearest.ts'
import { createOriginSet } from '../../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry, type OriginEntry } from '../../../src/match/origin.ts'
import { createReturnUrlSet } from '../../../src/match/return-url-set.ts'
import {
  parseReturnUrl,
  parseReturnUrlEntry,
  type ReturnUrl,
  type ReturnUrlEntry,
} from '../../../src/match/return-url.ts'
import { runs } from '../../support/runs.ts'

const urlOf = (text: string): ReturnUrl => {
  const url = parseReturnUrl(text)
  if ('problem' in url) throw new Error(`${text}: ${url.problem}`)
  return url
}

const domains = (...texts: string[]): OriginEntry[] =>
  texts.map((text) => parseOriginEntry(text) as OriginEntry)
const urls = (...texts: (string | { exact: string })[]): ReturnUrlEntry[] =>
  texts.map((text) => parseReturnUrlEntry(text) as ReturnUrlEntry)
const ranges = (...texts: string[]): IpRange[] => texts.map((text) => parseIpRange(text) as IpRange)

describe('nearestDomains', () => {
  const compared: [string, string, string[], string][] = [
    ['https://example.org', 'https://example.org', [], 'matches'],
    ['https://a.b.example.org', 'https://*.example.org', [], 'matches'],
    ['null', 'null', [], 'matches'],
    [
      'https://example.org:8443',
      'https://example.org',
      ['port'],
      'differs in port: `8443`, the entry has `443`',
    ],
    [
      'https://example.org',
      'https://example.org:8443',
      ['port'],
      'differs in port: `443`, the entry has `8443`',
    ],
    [
      'http://example.org',
      'https://example.org',
      ['scheme'],
      'differs in scheme: `http`, the entry has `https`',
    ],
    [
      'http://example.org:8080',
      'https://example.org',
      ['scheme', 'port'],
      'differs in scheme: `http`, the entry has `https`; in port: `8080`, the entry has `443`',
    ],
    [
      'https://www.example.org',
      'https://example.org',
      ['subdomain'],
      'differs in subdomain: `www.example.org`, the entry has `example.org`',
    ],
    [
      'https://example.org',
      'https://www.example.org',
      ['subdomain'],
      'differs in subdomain: `example.org`, the entry has `www.example.org`',
    ],
    [
      'https://example.org',
      'https://*.example.org',
      ['subdomain'],
      'differs in subdomain: `example.org`, the entry has `*.example.org`',
    ],
    [
      'https://evilexample.org',
      'https://*.example.org',
      ['host'],
      'differs in host: `evilexample.org`, the entry has `*.example.org`',
    ],
    [
      'https://example.org.evil.example',
      'https://example.org',
      ['host'],
      'differs in host: `example.org.evil.example`, the entry has `example.org`',
    ],
    [
      'http://a.example.org:81',
      'https://*.example.org:8443',
      ['scheme', 'port'],
      'differs in scheme: `http`, the entry has `https`; in port: `81`, the entry has `8443`',
    ],
    [
      'null',
      'https://example.org',
      ['scheme', 'host'],
      'differs in scheme: `null`, the entry has `https`; in host: `null`, the entry has `example.org`',
    ],
    ['myapp://x:1', 'myapp://x', ['port'], 'differs in port: `1`, the entry has none'],
  ]
  it.each(compared)('%s against %s', (origin, entry, differsIn, text) => {
    expect(nearestDomains(origin, domains(entry))).toEqual([{ entry, differsIn, text }])
  })

  it('ranks the three nearest: first those that differ farther to the right, then the more similar ones', () => {
    const entries = [
      'https://other.example',
      'https://exmaple.org',
      'https://www.example.org',
      'http://example.org:8443',
      'http://example.org',
      'https://example.org:444',
    ]
    expect(nearestDomains('https://example.org:8443', domains(...entries)).map(({ entry }) => entry)).toEqual(
      ['https://example.org:444', 'http://example.org:8443', 'http://example.org'],
    )
    expect(
      nearestDomains('https://example.org', domains('https://other.example', 'https://exmaple.org'))[0]
        ?.entry,
    ).toBe('https://exmaple.org')
  })

  it('agrees with the set about matches, and puts them first', () => {
    const label = fc.constantFrom('a', 'example', 'org', 'github', 'io', 'co', 'uk', '*')
    const origin = fc
      .tuple(
        fc.constantFrom('https', 'http', 'myapp'),
        fc.array(label, { minLength: 1, maxLength: 4 }),
        fc.constantFrom('', ':443', ':80', ':8443'),
      )
      .map(([scheme, labels, port]) => `${scheme}://${labels.join('.')}${port}`)
    fc.assert(
      fc.property(fc.array(origin, { maxLength: 8 }), origin, (texts, given) => {
        const entries = texts
          .map((text) => parseOriginEntry(text))
          .filter((entry): entry is OriginEntry => 'kind' in entry)
        const canonical = parseOrigin(given)
        if (canonical === undefined) return
        const found = createOriginSet(entries).find(canonical)
        const [first] = nearestDomains(canonical, entries)
        expect(first?.differsIn.length === 0).toBe(found !== undefined)
      }),
      { numRuns: runs(5000) },
    )
  })
})

describe('nearestReturnUrls', () => {
  const HERE = 'https://example.org/callback/'
  const compared: [string, string | { exact: string }, string[], string][] = [
    [`${HERE}x?y=1`, HERE, [], 'matches'],
    ['https://example.org/done?a=1', { exact: 'https://example.org/done?a=1' }, [], 'matches'],
    ['http://127.0.0.1:51004/cb', 'http://127.0.0.1:*/cb', [], 'matches'],
    ['https://example.org:8443/callback/', HERE, ['port'], 'differs in port: `8443`, the entry has `443`'],
    ['http://example.org/callback/', HERE, ['scheme'], 'differs in scheme: `http`, the entry has `https`'],
    [
      'https://example.org/callback',
      HERE,
      ['path'],
      'differs in path: the entry ends with a slash, `/callback` does not',
    ],
    [
      'https://example.org/callbackevil',
      'https://example.org/callback',
      ['path'],
      'differs in path: `/callbackevil` continues within a segment of `/callback`',
    ],
    [
      'https://example.org/Callback/x',
      'https://example.org/callback/X',
      ['path'],
      'differs in path: `/Callback/x` differs from `/callback/X` in upper and lower case',
    ],
    [
      'https://example.org/invalid',
      HERE,
      ['path'],
      'differs in path: `/invalid`, the entry has `/callback/`',
    ],
    [
      'https://example.org/done/x',
      { exact: 'https://example.org/done' },
      ['exact'],
      'differs in path: the entry is exact, and the URL continues below `/done`',
    ],
    [
      'https://example.org/done?a=1',
      { exact: 'https://example.org/done' },
      ['query'],
      'differs in query: `?a=1`, the entry has none',
    ],
    [
      'https://example.org/done',
      { exact: 'https://example.org/done?a=1' },
      ['query'],
      'differs in query: none, the entry has `?a=1`',
    ],
    [
      'https://www.example.org/callback/',
      HERE,
      ['subdomain'],
      'differs in subdomain: `www.example.org`, the entry has `example.org`',
    ],
    [
      'https://evil.example/x',
      HERE,
      ['host', 'path'],
      'differs in host: `evil.example`, the entry has `example.org`; in path: `/x`, the entry has `/callback/`',
    ],
    [
      'com.example.app:/other',
      'com.example.app:/callback',
      ['path'],
      'differs in path: `/other`, the entry has `/callback`',
    ],
    [
      'com.example.app:/x',
      'https://example.org/x',
      ['scheme', 'host'],
      'differs in scheme: `com.example.app`, the entry has `https`; in host: none, the entry has `example.org`',
    ],
    [
      'http://127.0.0.2:51004/cb',
      'http://127.0.0.1:*/cb',
      ['host'],
      'differs in host: `127.0.0.2`, the entry has `127.0.0.1`',
    ],
    [
      `https://example.org/${'x'.repeat(2000)}`,
      HERE,
      ['path'],
      `differs in path: \`/${'x'.repeat(79)}…\`, the entry has \`/callback/\``,
    ],
  ]
  it.each(compared)('%s against %j', (url, entry, differsIn, text) => {
    expect(nearestReturnUrls(urlOf(url), urls(entry))).toEqual([{ entry, differsIn, text }])
  })

  it('puts entries that differ in the last part first', () => {
    const entries = [
      'https://other.example/done',
      'https://www.example.org/done',
      'http://example.org/done',
      'https://example.org:8443/done',
      'https://example.org/do',
      { exact: 'https://example.org/done' },
    ]
    const ranked = nearestReturnUrls(urlOf('https://example.org/done?x'), urls(...entries))
    expect(ranked.map(({ differsIn }) => differsIn)).toEqual([['query'], ['path'], ['port']])
    expect(
      nearestReturnUrls(
        urlOf('https://example.org/a/b/c'),
        urls('https://example.org/x/', 'https://example.org/a/b/d'),
      ).map(({ entry }) => entry),
    ).toEqual(['https://example.org/a/b/d', 'https://example.org/x/'])
  })

  it('agrees with the set about matches, and puts them first', () => {
    const text = fc
      .tuple(
        fc.constantFrom(
          'https://example.org',
          'https://example.org:8443',
          'http://127.0.0.1:*',
          'http://127.0.0.1:9',
          'http://127.0.0.1',
          'myapp://x',
          'com.example.app:',
        ),
        fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 3 }),
        fc.constantFrom('', '', '?', '?a'),
      )
      .map(([origin, segments, query]) => `${origin}/${segments.join('/')}${query}`)
    const entry = fc.oneof(text, fc.record({ exact: text }))
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), text, (texts, given) => {
        const entries = texts
          .map((one) => [one, parseReturnUrlEntry(one)] as const)
          .filter((pair): pair is readonly [(typeof pair)[0], ReturnUrlEntry] => 'kind' in pair[1])
        const url = parseReturnUrl(given)
        if ('problem' in url) return
        const found = createReturnUrlSet(entries.map(([, parsed]) => parsed)).find(url)
        const [first] = nearestReturnUrls(
          url,
          entries.map(([, parsed]) => parsed),
        )
        expect(first?.differsIn.length === 0).toBe(found !== undefined)
      }),
      { numRuns: runs(5000) },
    )
  })
})

describe('nearestRanges', () => {
  it('states the distance of an address from a range', () => {
    const [near, ...others] = nearestRanges(
      parseIp('203.0.114.1')!,
      ranges('198.51.100.0/24', '2001:db8::/32', '203.0.113.0/24', '203.0.113.9'),
    )
    expect(near).toEqual({
      entry: '203.0.113.0/24',
      differsIn: ['network'],
      text: 'differs in network: 22 of the 24 bits of the entry are the same',
    })
    expect(others.map(({ entry }) => entry)).toEqual(['203.0.113.9', '198.51.100.0/24'])
    expect(nearestRanges(parseIp('2001:db8::1')!, ranges('0.0.0.0/0'))[0]).toEqual({
      entry: '0.0.0.0/0',
      differsIn: ['family'],
      text: 'differs in family: IPv6, the entry is IPv4',
    })
  })

  it('agrees with the set about matches, and puts them first', () => {
    const byte = fc.constantFrom(0, 1, 127, 128, 255)
    const v4 = fc.tuple(byte, byte).map(([a, b]) => `10.${a}.0.${b}`)
    const v6 = fc.tuple(byte, byte).map(([a, b]) => `2001:db8:${a}::${b}`)
    const address = fc.oneof(v4, v6)
    const entry = fc.tuple(address, fc.integer({ min: 0, max: 128 })).map(([text, prefix]) => {
      const range = parseIpRange(`${text}/${prefix}`)
      return 'problem' in range ? (range.corrected ?? text) : range.text
    })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), address, (texts, given) => {
        const ip = parseIp(given)!
        const found = createIpSet(ranges(...texts)).find(ip)
        expect(nearestRanges(ip, ranges(...texts))[0]?.differsIn.length === 0).toBe(found !== undefined)
      }),
      { numRuns: runs(3000) },
    )
  })
})
