import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { originIndexKeys, parseOrigin, parseOriginEntry } from '../../../src/match/origin.ts'
import { hostileOrigins } from 'portcullis/testing'
import { runs } from '../../support/runs.ts'

const hostile = hostileOrigins.map(({ origin }) => origin)

function printedBy(text: string): string | undefined {
  try {
    return new URL(text).origin
  } catch {
    return undefined
  }
}

describe('parseOrigin', () => {
  const canonical = [
    ['https://example.org', 'http://example.org', 'https://example.org:8443', 'https://localhost', 'null'],
    ['http://localhost:3000', 'https://a_b.example', 'https://xn--bcher-kva.example', 'https://1.example'],
    ['http://192.0.2.1', 'http://192.0.2.1:8080', 'https://[2001:db8::1]', 'https://[::1]:3000'],
    ['capacitor://localhost', 'ionic://localhost', 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'],
    ['moz-extension://0a1b2c3d-0000-4000-8000-000000000000', 'app://obsidian.example', 'tauri://localhost'],
  ].flat()
  it.each(canonical)('takes %s as it is', (text) => {
    expect(parseOrigin(text)).toBe(text)
  })

  const normalised: [string, string][] = [
    ['https://EXAMPLE.org', 'https://example.org'],
    ['HTTPS://example.org', 'https://example.org'],
    ['https://example.org:443', 'https://example.org'],
    ['http://example.org:80', 'http://example.org'],
    ['https://[2001:DB8::1]:443', 'https://[2001:db8::1]'],
  ]
  it.each(normalised)('reads %s as %s', (text, origin) => {
    expect(parseOrigin(text)).toBe(origin)
  })

  it('keeps the default port of the other scheme', () => {
    expect(parseOrigin('http://example.org:443')).toBe('http://example.org:443')
    expect(parseOrigin('https://example.org:80')).toBe('https://example.org:80')
  })

  it('returns an origin that it and the URL standard read unchanged, or nothing', () => {
    const text = fc.oneof(
      fc.webUrl({ withFragments: true }),
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.constantFrom(...hostile, 'https://example.org'), fc.nat(30), fc.string())
        .map(([origin, at, more]) => {
          return origin.slice(0, at) + more + origin.slice(at)
        }),
      fc
        .tuple(
          fc.constantFrom('https://', 'http://', 'HTTPS://'),
          fc.domain(),
          fc.constantFrom('', ':443', ':8080'),
        )
        .map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (value) => {
        const origin = parseOrigin(value)
        if (origin === undefined || origin === 'null') return
        expect(parseOrigin(origin)).toBe(origin)
        expect(origin.toLowerCase()).toBe(origin)
        if (/^https?:/.test(origin)) {
          expect(new URL(value).origin).toBe(origin)
          expect(new URL(value).href).toBe(`${origin}/`)
        }
      }),
      { numRuns: runs(1500) },
    )
  })
})

describe('a host', () => {
  it('is accepted exactly if the URL standard prints it unchanged and its labels are names', () => {
    const label = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'axf019_-'.split('')), minLength: 1, maxLength: 5 }),
      fc.constantFrom(
        '0x1',
        '0x',
        '08',
        '255',
        '256',
        'xn--4ca',
        'xn--a',
        'xn--',
        'com',
        'a'.repeat(63),
        'a'.repeat(64),
      ),
    )
    const isName = (text: string): boolean =>
      /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/.test(text) && text.length < 64
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
        const origin = `https://${labels.join('.')}`
        const printed = printedBy(origin)
        expect(parseOrigin(origin) === origin).toBe(printed === origin && labels.every(isName))
      }),
      { numRuns: runs(5000) },
    )
  })
})

describe('parseOriginEntry', () => {
  const exact = [
    'https://example.org',
    'https://example.org:8443',
    'http://localhost:3000',
    'null',
    'capacitor://localhost',
  ]
  it.each(exact)('takes %s as it is', (text) => {
    expect(parseOriginEntry(text)).toEqual({ text, kind: 'exact' })
  })

  const wildcards = [
    ['https://*.example.org', 'https://*.example.org:8443', 'http://*.example.org'],
    ['https://*.a.b.example.org'],
    ['https://*.example.co.uk', 'https://*.me.github.io', 'https://*.xn--bcher-kva.example'],
    ['https://*.corp.internal'],
  ].flat()
  it.each(wildcards)('accepts the wildcard %s', (text) => {
    expect(parseOriginEntry(text)).toEqual({ text, kind: 'wildcard' })
  })

  const corrected: [string, string][] = [
    ['example.org', 'https://example.org'],
    ['example.org:8443', 'https://example.org:8443'],
    ['localhost', 'http://localhost'],
    ['localhost:3000', 'http://localhost:3000'],
    ['app.localhost:3000/x', 'http://app.localhost:3000'],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['[::1]:3000', 'http://[::1]:3000'],
    ['::1', 'http://[::1]'],
    ['2001:DB8::1', 'https://[2001:db8::1]'],
    ['192.0.2.1:8443', 'https://192.0.2.1:8443'],
    ['https://example.org/', 'https://example.org'],
    ['https://example.org/callback/?x#y', 'https://example.org'],
    ['example.org/callback', 'https://example.org'],
    ['b\u00fccher.example', 'https://xn--bcher-kva.example'],
    ['*.example.org', 'https://*.example.org'],
    ['https://*.example.org:443/', 'https://*.example.org'],
    ['https://example.org/*', 'https://example.org'],
    ['//example.org', 'https://example.org'],
    ['https:/example.org', 'https://example.org'],
    ['https//example.org', 'https://example.org'],
    ['wss://example.org', 'https://example.org'],
    [' https://example.org ', 'https://example.org'],
    ['"https://example.org"', 'https://example.org'],
    ['https://example.org:0443', 'https://example.org'],
    ['https://127.1', 'https://127.0.0.1'],
  ]
  it.each(corrected)('refuses %s and suggests %s', (text, suggestion) => {
    expect(parseOriginEntry(text)).toEqual({ problem: expect.any(String), corrected: suggestion })
  })

  const spelled: [string, string][] = [
    ['https://Example.ORG', 'https://example.org'],
    ['HTTPS://example.org', 'https://example.org'],
    ['https://example.org:443', 'https://example.org'],
    ['http://example.org:80', 'http://example.org'],
    ['https://B\u00fccher.example', 'https://xn--bcher-kva.example'],
    ['https://*.Example.org', 'https://*.example.org'],
    ['https://*.B\u00fccher.example', 'https://*.xn--bcher-kva.example'],
    ['HTTPS://*.Example.org:443', 'https://*.example.org'],
    ['Capacitor://localhost', 'capacitor://localhost'],
    ['https://[2001:DB8:0:0:0:0:0:1]', 'https://[2001:db8::1]'],
    ['app://-', 'app://-'],
  ]
  it.each(spelled)('accepts %s as %s, because both mean the same', (text, canonical) => {
    expect(parseOriginEntry(text)).toMatchObject({ text: canonical })
    expect(parseOriginEntry(canonical)).toMatchObject({ text: canonical })
  })

  const international: [string, string][] = [
    ['https://b\u00fccher.example', 'https://xn--bcher-kva.example'],
    ['http://b\u00fccher.example:8080', 'http://xn--bcher-kva.example:8080'],
    ['https://*.b\u00fccher.example', 'https://*.xn--bcher-kva.example'],
    ['https://\u65e5\u672c\u8a9e.jp', 'https://xn--wgv71a119e.jp'],
    ['https://*.a.\u516c\u53f8.cn', 'https://*.a.xn--55qx5d.cn'],
  ]
  it.each(international)('accepts %s as %s', (text, ascii) => {
    expect(parseOriginEntry(text)).toMatchObject({ text: ascii })
    expect(parseOrigin(text)).toBeUndefined()
  })

  const suffixes = [
    '\u516c\u53f8.cn',
    'xn--55qx5d.cn',
    '\u0440\u0444',
    'com',
    'org',
    'co.uk',
    'github.io',
    'localhost',
    'internal',
    's3.amazonaws.com',
    'kawasaki.jp',
    'a.ck',
  ]
  it.each(suffixes)('refuses a wildcard on the public suffix %s', (suffix) => {
    expect(parseOriginEntry(`https://*.${suffix}`)).toEqual({
      problem: 'a wildcard must not cover a public suffix',
    })
  })

  const EVERYBODY =
    'would admit every website: name each origin, like `https://example.org`, or `https://*.example.org` for all subdomains'
  const NO_ORIGIN = 'is not an origin, which is a scheme, a host and perhaps a port'
  const advised: [string, string][] = [
    ...['*', 'https://*', 'http://*:*', '*://*', 'https://*:8443', 'https://*/'].map(
      (text): [string, string] => [text, EVERYBODY],
    ),
    ...['https://example.org:*', 'https://*.example.org:*', 'http://localhost:*/'].map(
      (text): [string, string] => [
        text,
        'has a wildcard as its port: write each port, or none for the default one',
      ],
    ),
    ...['https://*example.org', '*example.org', '*://example.org', '.*'].map((text): [string, string] => [
      text,
      'a wildcard must be the whole leftmost label',
    ]),
    ['https://a.example https://b.example:x', NO_ORIGIN],
    ['https://a.example,https://b.example:x', NO_ORIGIN],
    ['https://a.example|b', `${NO_ORIGIN}: its host is refused`],
    ['a.example b.example c.example d.example e.example', 'holds several entries'],
    ...[
      'https://a.example,https://b.example',
      'https://a.example https://b.example/ ',
      'a.example; b.example',
    ].map((text): [string, string] => [
      text,
      'holds several entries: write `https://a.example` and `https://b.example` as separate entries',
    ]),
    ['https://a@example.org', `${NO_ORIGIN}: its user information is refused`],
    ['https://example.org:99999', `${NO_ORIGIN}: its port is refused`],
    ['https://exa mple.org', `${NO_ORIGIN}: its host is refused`],
    ['ftp://example.org', `${NO_ORIGIN}: it cannot have the scheme \`ftp\``],
  ]
  it.each(advised)('refuses %j, and says how to write it', (text, problem) => {
    expect(parseOriginEntry(text)).toEqual({ problem })
  })

  const refused = [
    ['', '*.*', 'h', 'https:', 'https://', 'https://*.'],
    ['https://a*.example.org', 'https://*a.*.example.org', 'https://a.*.example.org', 'https://example.*'],
    ['https://*.192.0.2.1', 'https://*.[::1]', 'https://*.2.1', 'capacitor://*.example.org'],
    ['https://a@example.org', 'https://@example.org', 'https:\\\\example.org'],
    ['Capacitor://X', 'https://-', 'app://--'],
    ['javascript:x', 'data:,', 'blob:https://example.org', 'blob://example.org'],
    [
      '(https://a.example)',
      'NULL',
      'file://',
      '.example.org',
      'https://.example.org',
      'https://example.org.',
    ],
    [
      '^https:\\/\\/example\\.org$',
      'https?://example.org',
      'https://**.example.org',
      'https://*.*.example.org',
    ],
    [`https://*.${'a.'.repeat(10)}org`],
  ].flat()
  it.each(refused)('refuses %j without a suggestion', (text) => {
    expect(parseOriginEntry(text)).toEqual({ problem: expect.any(String) })
  })

  it('suggests only valid entries', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl(),
      fc.domain(),
      fc.constantFrom(...hostile),
    )
    fc.assert(
      fc.property(text, fc.constantFrom('', '*.', 'https://*.'), (end, start) => {
        const entry = parseOriginEntry(start + end)
        if ('text' in entry) expect(parseOriginEntry(entry.text)).toEqual(entry)
        else if (entry.corrected !== undefined)
          expect(parseOriginEntry(entry.corrected)).toHaveProperty('text')
      }),
      { numRuns: runs(2000) },
    )
  })
})

describe('originIndexKeys', () => {
  const keys: [string, string[]][] = [
    ['https://example.org', []],
    ['https://a.example.org', ['https://*.example.org']],
    ['https://a.b.example.org:8443', ['https://*.b.example.org:8443', 'https://*.example.org:8443']],
    ['https://a.example.co.uk', ['https://*.example.co.uk']],
    ['https://me.github.io', []],
    ['https://bucket.s3.amazonaws.com', []],
    ['https://localhost', []],
    ['http://192.0.2.1:8080', []],
    ['https://[2001:db8::1]:8443', []],
    ['capacitor://a.b.c', []],
    ['null', []],
  ]
  it.each(keys)('of %s are itself and %j', (origin, wildcards) => {
    expect(originIndexKeys(origin)).toEqual([origin, ...wildcards])
  })

  it('are at most ten, however many labels a caller sends', () => {
    const origin = parseOrigin(`https://${'a.'.repeat(120)}example.org`)
    expect(originIndexKeys(origin ?? '').length).toBeLessThanOrEqual(10)
  })
})
