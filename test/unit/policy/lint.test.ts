import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { lintPolicy, parsePolicy, PolicyError, type PolicyFinding } from 'portcullis'
import type { ReturnUrlText } from '../../../src/match/return-url.ts'
import { parseIp, rangeText } from '../../../src/match/ip.ts'
import { originIndexKeys } from '../../../src/match/origin.ts'
import { createReturnUrlSet } from '../../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../../src/match/return-url.ts'
import { holds, intersection, meets, sizeOf, unionOf, without, type Union } from '../../../src/lint/blocks.ts'
import { runs } from '../../support/runs.ts'

/** A policy that uses every protection. */
const best = {
  appId: 'a',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['8.8.8.0/24', '2a00:1450::/32'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}

type Section = Exclude<keyof typeof best, 'appId'>

/** The findings in the best policy with other members in one section. */
function lint(section: Section, members: object): readonly PolicyFinding[] {
  return lintPolicy({ ...best, [section]: { ...best[section], ...members } })
}

/** `code path`, and the corrected form if there is one. */
function brief({ code, path, corrected }: PolicyFinding): string {
  return [
    code,
    path.slice(path.indexOf('.') + 1),
    ...(corrected === undefined ? [] : [`→ ${corrected}`]),
  ].join(' ')
}

const eights = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}.0.0.0/8`)

type Case = readonly [what: string, members: object, findings: readonly string[]]

const cases: Readonly<Record<Section, readonly Case[]>> = {
  serverOnly: [
    ['a long window', { maxAge: 301 }, ['max-age-long serverOnly.maxAge → 300']],
    ['a window of 300 s', { maxAge: 300 }, []],
    ['content that nobody signs', { requireDigest: false }, ['digest-optional requireDigest → true']],
    [
      'a form of content that nobody signs',
      { requireContentType: false },
      ['content-type-optional requireContentType → true'],
    ],
    ['report mode', { mode: 'report' }, ['mode-report mode → enforce']],
    ['off', { mode: 'off' }, ['mode-off mode → enforce']],
  ],
  ipWhitelist: [
    ['an empty list', { ranges: [] }, ['empty-list ranges']],
    ['an empty list that is off', { ranges: [], mode: 'off' }, ['mode-off mode → enforce']],
    ['a named list alone', { ranges: [], lists: ['office'] }, []],
    [
      'all of IPv4 beside a little IPv6',
      { ranges: ['2a00:1450::/32', '0.0.0.0/0'] },
      ['admits-everybody ranges[1]'],
    ],
    ['all of IPv6', { ranges: ['8.8.8.8', '::/0'] }, ['admits-everybody ranges[1]']],
    ['global unicast', { ranges: ['8.8.8.8', '2000::/3'] }, ['admits-everybody ranges[1]']],
    [
      'two halves of IPv4',
      { ranges: ['0.0.0.0/1', '128.0.0.0/1', '2a00::/32'] },
      ['admits-everybody ranges', 'admits-everybody ranges[0]', 'wide-range ranges[1]'],
    ],
    [
      'IPv4 without what is private anyway',
      { ranges: [...eights(1, 9), ...eights(11, 126), ...eights(128, 223), '2a00::/32'].toReversed() },
      ['admits-everybody ranges'],
    ],
    [
      'all of IPv4 less an exception',
      { ranges: ['0.0.0.0/0', '2a00::/32'], deny: ['8.8.8.8'] },
      ['admits-everybody ranges[0]'],
    ],
    [
      'parts of IPv4 of which most is denied',
      { ranges: ['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/2', '2a00::/32'], deny: ['0.0.0.0/2', '64.0.0.0/3'] },
      ['wide-range ranges[0]', 'range-denied ranges[0]', 'wide-range ranges[1]', 'wide-range ranges[2]'],
    ],
    [
      'eight parts of global unicast',
      {
        ranges: ['8.8.8.8', ...[0, 4, 8, 12, 16, 20, 24, 28].map((n) => `${(0x20 + n).toString(16)}00::/6`)],
      },
      ['admits-everybody ranges', ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `wide-range ranges[${n}]`)],
    ],
    ['wide ranges', { ranges: ['8.0.0.0/7', '2a00::/18'] }, ['wide-range ranges[0]', 'wide-range ranges[1]']],
    ['ranges of the largest owners', { ranges: ['8.0.0.0/8', '2a00::/19'] }, []],
    [
      'ranges inside of others',
      { ranges: ['8.8.8.8', '8.8.0.0/16', '2a00::/32', '8.8.8.0/24', '2a00::1'] },
      ['entry-swallowed ranges[0]', 'entry-swallowed ranges[3]', 'entry-swallowed ranges[4]'],
    ],
    [
      'denied ranges',
      { ranges: ['8.8.8.0/24', '9.9.9.9', '2a00::/32'], deny: ['8.8.8.0/25', '8.8.8.128/25', '2a00::/33'] },
      ['range-denied ranges[0]', 'mergeable-ranges deny[0] → 8.8.8.0/24'],
    ],
    [
      'idle exceptions',
      { ranges: ['8.8.8.0/24', '2a00::/32'], deny: ['8.8.9.0', '8.8.0.0/16', '8.8.8.1', '2a01::'] },
      [
        'range-denied ranges[0]',
        'entry-swallowed deny[0]',
        'deny-without-effect deny[0]',
        'entry-swallowed deny[2]',
        'deny-without-effect deny[3]',
      ],
    ],
    ['exceptions from a named list', { lists: ['office'], deny: ['9.9.9.9'] }, []],
    [
      'neighbours',
      { ranges: ['8.8.1.0/24', '2a00::/33', '8.8.2.0/23', '8.8.0.0/24', '2a00:0:8000::/33', '8.8.4.0/24'] },
      ['mergeable-ranges ranges[0] → 8.8.0.0/22', 'mergeable-ranges ranges[1] → 2a00::/32'],
    ],
    ['neighbours that are no range', { ranges: ['8.8.1.0/24', '8.8.2.0/24', '2a00::/32'] }, []],
    ['halves of a range that would be too wide', { ranges: ['8.0.0.0/8', '9.0.0.0/8', '2a00::/32'] }, []],
    ['IPv4 alone', { ranges: ['8.8.8.8'] }, ['ipv6-missing ranges']],
    ['IPv6 alone', { ranges: ['2a00::1'] }, ['ipv4-missing ranges']],
    ['IPv4 alone beside a named list', { ranges: ['8.8.8.8'], lists: ['office'] }, []],
  ],
  domainProtect: [
    ['an empty list', { domains: [] }, ['empty-list domains']],
    ['null', { domains: ['null'] }, ['null-origin domains[0]']],
    ['credentials for names', { domains: ['https://example.org'], credentials: true }, []],
    [
      'credentials for a wildcard',
      { domains: ['https://*.example.org'], credentials: true },
      ['wildcard-domain domains[0]', 'credentials-wildcard credentials'],
    ],
    [
      'http',
      { domains: ['http://example.org', 'http://example.org:8080', 'http://*.example.com'] },
      [
        'insecure-scheme domains[0] → https://example.org',
        'insecure-scheme domains[1]',
        'insecure-scheme domains[2] → https://*.example.com',
        'wildcard-domain domains[2]',
      ],
    ],
    [
      'http beside https',
      { domains: ['http://example.org', 'https://example.org'] },
      ['insecure-scheme domains[0]'],
    ],
    [
      "the user's own machine",
      {
        domains: [
          'http://localhost:3000',
          'https://a.localhost',
          'http://127.8.8.8',
          'http://[::1]:1',
          'http://127.example.org',
        ],
      },
      [
        ...[0, 1, 2, 3].map((index) => `localhost domains[${index}]`),
        'insecure-scheme domains[4] → https://127.example.org',
      ],
    ],
    ['an origin of an app', { domains: ['capacitor://localhost'] }, []],
    [
      'hosts that look like others',
      {
        domains: [
          'https://ex\u0430mple.org',
          'https://xn--80ak6aa92e.example',
          'https://*.\u0430\u0440\u0440\u04cf\u0435.example',
          'https://m\u00fcnchen.example',
        ],
      },
      [
        'look-alike-host domains[0]',
        'look-alike-host domains[1]',
        'look-alike-host domains[2]',
        'wildcard-domain domains[2]',
      ],
    ],
    [
      'entries under wildcards',
      {
        domains: [
          'https://a.example.org',
          'https://*.example.org',
          'https://example.org',
          'https://*.b.example.org',
          'https://a.example.org:8443',
        ],
      },
      [
        'entry-swallowed domains[0]',
        'wildcard-domain domains[1]',
        'wildcard-domain domains[3]',
        'entry-swallowed domains[3]',
      ],
    ],
  ],
  returnUrlGuard: [
    ['an empty list', { urls: [] }, ['empty-list urls']],
    [
      'http',
      {
        urls: ['http://example.org/a/', { exact: 'http://example.org/b?c' }, 'http://example.org:8080/'],
      },
      [
        'insecure-scheme urls[0] → https://example.org/a/',
        'insecure-scheme urls[1] → {"exact":"https://example.org/b?c"}',
        'insecure-scheme urls[2]',
        'whole-origin urls[2]',
      ],
    ],
    [
      'http beside https',
      { urls: ['http://example.org/a/', 'https://example.org/a/'] },
      ['insecure-scheme urls[0]'],
    ],
    [
      'localhost',
      { urls: ['http://localhost:3000/a/', { exact: 'http://localhost/b' }, 'https://localhost/c/'] },
      [
        'localhost urls[0] → http://127.0.0.1:3000/a/',
        'localhost urls[1] → {"exact":"http://127.0.0.1/b"}',
        'localhost urls[2]',
      ],
    ],
    ['loopback addresses', { urls: ['http://127.0.0.1:*/a/', 'http://[::1]:3000/a/'] }, []],
    ['a whole origin', { urls: ['https://example.org/'] }, ['whole-origin urls[0]']],
    ['a front page', { urls: [{ exact: 'https://example.org/' }] }, []],
    ['a scheme of an app', { urls: ['org.example.app:/', 'myapp://callback/'] }, []],
    [
      'prefixes that end like a page',
      {
        urls: [
          'https://example.org/callback',
          'https://example.org/callback/index.html',
          'https://example.org/done',
          { exact: 'https://example.org/done' },
          'myapp://callback',
          'https://example.org/folder/',
        ],
      },
      [
        'exact-possible urls[0] → {"exact":"https://example.org/callback"}',
        'entry-swallowed urls[1]',
        'exact-possible urls[2]',
        'entry-swallowed urls[3]',
        'exact-possible urls[4] → {"exact":"myapp://callback"}',
      ],
    ],
    [
      'hosts that look like others',
      { urls: ['https://\u0430\u0440\u0440\u04cf\u0435.example/', 'https://m\u00fcnchen.example/a/'] },
      ['look-alike-host urls[0]', 'whole-origin urls[0]'],
    ],
    [
      'entries inside of others',
      {
        urls: [
          'https://example.org/a/b',
          'https://example.org/a/',
          { exact: 'https://example.org/a/?x=1' },
          { exact: 'https://example.org/a' },
          'https://example.org/ab',
          'http://127.0.0.1:*/a',
          'http://127.0.0.1:3000/a/',
          'http://127.0.0.1/a',
          'http://127.0.0.1:*/a/',
        ],
      },
      [
        'entry-swallowed urls[0]',
        'entry-swallowed urls[2]',
        'exact-possible urls[4] → {"exact":"https://example.org/ab"}',
        'exact-possible urls[5] → {"exact":"http://127.0.0.1:*/a"}',
        ...[6, 7, 8].map((index) => `entry-swallowed urls[${index}]`),
      ],
    ],
  ],
  regionPin: [
    ['a fallback', { fallback: 'world' }, ['region-fallback fallback']],
    ['a redirect', { onMisdirected: 'redirect' }, []],
  ],
  auditAccess: [['losses', { onSinkFailure: 'allow' }, ['audit-loss onSinkFailure → deny']]],
}

describe('lintPolicy', () => {
  it('finds nothing in a policy that uses every protection', () => {
    expect(lintPolicy(best)).toEqual([])
  })

  for (const [section, sectionCases] of Object.entries(cases) as [Section, readonly Case[]][]) {
    for (const [what, members, findings] of sectionCases) {
      it(`checks ${section} with ${what}`, () => {
        const found = lint(section, members)
        expect(found.map(brief)).toEqual(findings.map((line) => line.replace(`${section}.`, '')))
        expect(found.every(({ path }) => path.startsWith(`${section}.`))).toBe(true)
      })
    }
  }

  it('reports each missing section, and what to write if it is known', () => {
    expect(lintPolicy({ appId: 'a' }).map(brief)).toEqual([
      'section-missing serverOnly → { "mode": "enforce" }',
      'section-missing ipWhitelist',
      'section-missing domainProtect',
      'section-missing returnUrlGuard',
      'section-missing regionPin → { "mode": "enforce" }',
      'section-missing auditAccess → { "mode": "enforce" }',
    ])
  })

  it('reports findings in a fixed order, whatever the order of the keys', () => {
    const paths = lintPolicy({
      auditAccess: { onSinkFailure: 'allow', mode: 'off' },
      domainProtect: { domains: ['null'], mode: 'report' },
      ipWhitelist: { deny: ['9.9.9.9'], ranges: ['8.8.8.8', '10.0.0.1', '2a00::'], mode: 'report' },
      appId: 'a',
    }).map(({ path }) => path)
    expect(paths).toEqual([
      'serverOnly',
      'ipWhitelist.mode',
      'ipWhitelist.ranges[1]',
      'ipWhitelist.deny[0]',
      'domainProtect.mode',
      'domainProtect.domains[0]',
      'returnUrlGuard',
      'regionPin',
      'auditAccess.mode',
      'auditAccess.onSinkFailure',
    ])
  })

  it('writes each finding in one line, with the severity of its code', () => {
    const severities = new Map<string, string>()
    for (const [section, sectionCases] of Object.entries(cases) as [Section, readonly Case[]][]) {
      for (const { code, severity, message } of sectionCases.flatMap(([, members]) =>
        lint(section, members),
      )) {
        expect(message).toMatch(/^[ -~]{20,160}$/)
        expect(severities.get(code) ?? severity).toBe(severity)
        severities.set(code, severity)
      }
    }
    const dangers = [...severities].filter(([, severity]) => severity === 'danger').map(([code]) => code)
    expect(dangers.toSorted()).toEqual(['admits-everybody', 'insecure-scheme', 'null-origin'])
  })

  it('refuses a document that is not a policy', () => {
    expect(() =>
      lintPolicy({ appId: 'a', ipWhitelist: { mode: 'enforce', ranges: ['8.8.8.1/24'] } }),
    ).toThrow(PolicyError)
  })
})

describe('special-purpose ranges', () => {
  const special = (
    '0.0.0.0 0.0.0.0/8 10.0.0.0/8 10.20.0.0/16 100.64.0.0/10 127.0.0.1 169.254.169.254 172.16.0.0/12 172.31.0.0/16 ' +
    '192.0.0.8 192.0.2.0/24 192.88.99.0/24 192.168.1.0/24 198.18.0.0/15 198.51.100.7 203.0.113.0/24 224.0.0.0/4 ' +
    '239.1.1.1 240.0.0.0/4 255.255.255.255 ' +
    ':: ::1 ::/8 ::808:808 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/32 2001::/24 2001:2::/48 ' +
    '2001:20::/28 2001:db8::/32 2001:db8:1::/48 2002::/16 3fff::/20 4000::/3 5f00::/16 fc00::/7 fd00::1 ' +
    'fe80::/10 fec0::/10 ff00::/8'
  ).split(' ')
  const ordinary = (
    '1.0.0.0/8 9.255.255.255 11.0.0.0/8 100.63.0.0/16 100.128.0.0/16 126.0.0.0/8 128.0.0.0/8 169.253.0.0/16 ' +
    '172.15.0.0/16 172.32.0.0/16 192.0.1.0/24 192.0.3.0 192.0.0.0/8 192.167.0.0/16 198.20.0.0/16 223.0.0.0/8 ' +
    '2001:200::/23 2001:db7::/32 2001:db9::/32 2003::/19 2a00::/32 3ffe::/19'
  ).split(' ')

  it.each(special)('%s contains no callers', (text) => {
    const found = lint('ipWhitelist', { ranges: [text, '8.8.8.8', '2a00:1450::1'] })
    expect(found.map(brief)).toEqual(['special-purpose ranges[0]'])
  })

  it.each(ordinary)('%s may contain callers', (text) => {
    expect(lint('ipWhitelist', { ranges: [text, '8.8.8.8', '2a00:1450::1'] })).toEqual([])
  })
})

describe('ranges, compared with a naive check', () => {
  /** 64 addresses of each version. */
  const bases = [parseIp('8.8.8.0')?.words, parseIp('2a00:1450::')?.words] as number[][]
  const range = fc
    .tuple(fc.constantFrom(...bases), fc.nat(63), fc.integer({ min: 0, max: 6 }))
    .map(([base, offset, bits]) => {
      const words = [...base.slice(0, -1), (base.at(-1) as number) + offset]
      return rangeText(words, 32 * words.length - bits)
    })
  const ranges = fc.uniqueArray(range, { maxLength: 40 })

  /** The addresses of a range, as texts. */
  const known = new Map<string, string[]>()
  function addressesOf(text: string): string[] {
    const addresses = known.get(text) ?? addressesIn(text)
    known.set(text, addresses)
    return addresses
  }
  function addressesIn(text: string): string[] {
    const [host = '', prefix] = text.split('/')
    const words = parseIp(host)?.words as number[]
    const count = prefix === undefined ? 1 : 2 ** (32 * words.length - Number(prefix))
    return Array.from({ length: count }, (_, index) =>
      rangeText([...words.slice(0, -1), (words.at(-1) as number) + index], 32 * words.length),
    )
  }
  const setOf = (texts: readonly string[]): Set<string> => new Set(texts.flatMap(addressesOf))
  const placesOf = (found: readonly PolicyFinding[], code: string, list: string): number[] =>
    found
      .filter((one) => one.code === code && one.path.startsWith(`ipWhitelist.${list}[`))
      .map(({ path }) => Number(/\[([0-9]+)\]$/.exec(path)?.[1]))
  const placesWhere = (
    texts: readonly string[],
    test: (addresses: string[], text: string) => boolean,
  ): number[] => texts.flatMap((text, index) => (test(addressesOf(text), text) ? [index] : []))

  it('finds covered, denied and unused entries', () => {
    fc.assert(
      fc.property(ranges, ranges, (admitted, denied) => {
        const found = lint('ipWhitelist', { ranges: admitted, deny: denied })
        const [allowed, refused] = [setOf(admitted), setOf(denied)]
        for (const [list, texts] of [
          ['ranges', admitted],
          ['deny', denied],
        ] as const) {
          const swallowed = placesWhere(texts, (addresses, text) =>
            texts.some(
              (other) => other !== text && addresses.every((one) => addressesOf(other).includes(one)),
            ),
          )
          expect(placesOf(found, 'entry-swallowed', list)).toEqual(swallowed)
        }
        expect(placesOf(found, 'range-denied', 'ranges')).toEqual(
          placesWhere(admitted, (addresses) => addresses.every((one) => refused.has(one))),
        )
        expect(placesOf(found, 'deny-without-effect', 'deny')).toEqual(
          placesWhere(denied, (addresses) => addresses.every((one) => !allowed.has(one))),
        )
      }),
      { numRuns: runs(300) },
    )
  })

  it('following the advice keeps the admitted addresses, in as few ranges as possible', () => {
    fc.assert(
      fc.property(ranges, (admitted) => {
        const found = lint('ipWhitelist', { ranges: admitted })
        const swallowed = new Set(placesOf(found, 'entry-swallowed', 'ranges'))
        const merged = found.flatMap(({ code, corrected }) =>
          code === 'mergeable-ranges' && corrected !== undefined ? [corrected] : [],
        )
        const inMerged = setOf(merged)
        const kept = admitted.filter(
          (text, index) => !swallowed.has(index) && !addressesOf(text).every((one) => inMerged.has(one)),
        )
        const better = [...kept, ...merged]
        expect(setOf(better)).toEqual(setOf(admitted))
        expect(better).toHaveLength(fewest(setOf(admitted)))
      }),
      { numRuns: runs(300) },
    )
  })

  /** The minimum number of CIDR ranges. */
  function fewest(addresses: ReadonlySet<string>): number {
    const count = (base: readonly number[], bits: number): number => {
      const block = addressesOf(rangeText(base, 32 * base.length - bits))
      if (block.every((one) => addresses.has(one))) return 1
      if (!block.some((one) => addresses.has(one))) return 0
      const upper = [...base.slice(0, -1), (base.at(-1) as number) + 2 ** (bits - 1)]
      return count(base, bits - 1) + count(upper, bits - 1)
    }
    return bases.reduce((sum, base) => sum + count(base, 6), 0)
  }

  it('calculates with blocks as with sets of numbers', () => {
    const block = fc
      .tuple(fc.nat(40), fc.nat(12))
      .map(([first, length]) => ({ first: BigInt(first), last: BigInt(first + length) }))
    const blocks = fc.array(block, { maxLength: 8 })
    const numbersOf = (union: Union): bigint[] =>
      union.flatMap(({ first, last }) =>
        Array.from({ length: Number(last - first) + 1 }, (_, n) => first + BigInt(n)),
      )
    const sorted = (numbers: Iterable<bigint>): bigint[] =>
      [...new Set(numbers)].toSorted((a, b) => Number(a - b))
    fc.assert(
      fc.property(blocks, blocks, block, (some, others, one) => {
        const [left, right] = [unionOf(some), unionOf(others)]
        const [these, those] = [sorted(numbersOf(some)), sorted(numbersOf(others))]
        expect(numbersOf(left)).toEqual(these)
        expect(numbersOf(without(left, right))).toEqual(these.filter((n) => !those.includes(n)))
        expect(numbersOf(intersection(left, right))).toEqual(these.filter((n) => those.includes(n)))
        expect(sizeOf(left)).toBe(BigInt(these.length))
        expect(holds(left, one)).toBe(numbersOf([one]).every((n) => these.includes(n)))
        expect(meets(left, one)).toBe(numbersOf([one]).some((n) => these.includes(n)))
      }),
      { numRuns: runs(1000) },
    )
  })

  it.each([
    [110, false],
    [114, true],
  ])('IPv4 from 1.0.0.0 to %i.255.255.255 is half of all callers: %s', (last, half) => {
    const found = lint('ipWhitelist', { ranges: [...eights(1, last), '2a00::/32'] })
    expect(found.some(({ code }) => code === 'admits-everybody')).toBe(half)
  })
})

describe('origins and return URLs, compared with a naive check', () => {
  const swallowedIn = (found: readonly PolicyFinding[]): number[] =>
    found
      .filter(({ code }) => code === 'entry-swallowed')
      .map(({ path }) => Number(/\[([0-9]+)\]$/.exec(path)?.[1]))

  it('finds origins covered by wildcards', () => {
    const host = fc.constantFrom(
      'example.org',
      'a.example.org',
      'b.a.example.org',
      'c.b.a.example.org',
      'example.com',
    )
    const entry = fc
      .tuple(fc.constantFrom('https://', 'https://*.', 'http://*.'), host, fc.constantFrom('', ':8443'))
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.uniqueArray(entry, { maxLength: 15 }), (domains) => {
        const admits = (other: string, origin: string): boolean => originIndexKeys(origin).includes(other)
        const swallowed = domains.flatMap((text, index) => {
          const origin = text.replace('*', 'any')
          return domains.some((other) => other !== text && admits(other, origin)) ? [index] : []
        })
        expect(swallowedIn(lint('domainProtect', { domains }))).toEqual(swallowed)
      }),
      { numRuns: runs(500) },
    )
  })

  it('finds return URLs covered by prefixes', () => {
    const origin = fc.constantFrom(
      'https://example.org',
      'http://127.0.0.1',
      'http://127.0.0.1:81',
      'http://127.0.0.1:*',
      'myapp://cb',
    )
    const below = fc
      .array(fc.constantFrom('/', 'a', 'ab', '/a'), { maxLength: 4 })
      .map((parts) => `/${parts.join('')}`)
    const path = fc.oneof(fc.constant(''), below)
    const entry = fc
      .tuple(origin, path, fc.constantFrom('', '?x', undefined))
      .map(([start, rest, query]): ReturnUrlText =>
        query === undefined ? start + rest : { exact: start + rest + query },
      )
      .filter((one) => !('problem' in parseReturnUrlEntry(one)))
      .map((one): ReturnUrlText => {
        const { kind, text } = parsed(one)
        return kind === 'exact' ? { exact: text } : text
      })
    const entries = fc.uniqueArray(entry, { maxLength: 12, selector: (one) => JSON.stringify(one) })
    fc.assert(
      fc.property(entries, (urls) => {
        const swallowed = urls.flatMap((one, index) => {
          const text = typeof one === 'string' ? one : one.exact
          // An entry for any port is covered by another only if that is also for any port.
          const others = urls.filter(
            (other) =>
              other !== one &&
              (typeof one !== 'string' || typeof other === 'string') &&
              (!text.includes(':*') || JSON.stringify(other).includes(':*')),
          )
          const set = createReturnUrlSet(others.map((other) => parsed(other)))
          const url = parseReturnUrl(text.replace(':*', ':4711'))
          return !('problem' in url) && set.find(url) !== undefined ? [index] : []
        })
        expect(swallowedIn(lint('returnUrlGuard', { urls }))).toEqual(swallowed)
      }),
      { numRuns: runs(1000) },
    )
  })

  function parsed(text: ReturnUrlText): Exclude<ReturnType<typeof parseReturnUrlEntry>, { problem: string }> {
    const entry = parseReturnUrlEntry(text)
    if ('problem' in entry) throw new Error(entry.problem)
    return entry
  }

  it('suggests only valid entries', () => {
    const texts = [
      'http://example.org',
      'http://a.example',
      'http://localhost',
      'http://localhost:81',
      'https://a.example',
    ]
    fc.assert(
      fc.property(fc.uniqueArray(fc.constantFrom(...texts)), fc.boolean(), (origins, exact) => {
        const urls = origins.map((origin): ReturnUrlText =>
          exact ? { exact: `${origin}/x` } : `${origin}/x`,
        )
        for (const [section, list, entries] of [
          ['domainProtect', 'domains', origins],
          ['returnUrlGuard', 'urls', urls],
        ] as const) {
          for (const { path, corrected } of lint(section, { [list]: entries })) {
            if (corrected === undefined) continue
            const place = Number(/\[([0-9]+)\]$/.exec(path)?.[1])
            const value: unknown = corrected.startsWith('{') ? JSON.parse(corrected) : corrected
            const better = {
              ...best,
              [section]: { mode: 'enforce', [list]: entries.with(place, value as never) },
            }
            expect(() => parsePolicy(better)).not.toThrow()
          }
        }
      }),
    )
  })
})
