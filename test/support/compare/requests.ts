import fc from 'fast-check'
import type { RequestDescription } from 'portcullis'
import { DOMAINS, PREFIXES, RANGES } from './pairs.ts'
import { parseIpRange, rangeText } from '../../../src/match/ip.ts'

/* Requests at the edges of the generated policies. */

/** The first and the last address of each range, and those just outside. */
const ADDRESSES: readonly string[] = [
  ...new Set(
    RANGES.flatMap((text) => {
      const range = parseIpRange(text)
      if ('problem' in range) throw new Error(`${text} ${range.problem}`)
      const { first, last } = range
      return [first, last, moved(first, -1), moved(last, 1)].map((words) =>
        rangeText(words, 32 * words.length),
      )
    }),
  ),
]

function moved(words: readonly number[], by: number): number[] {
  const after = [...words]
  for (let word = after.length - 1; word >= 0; word -= 1) {
    const sum = (after[word] as number) + by
    after[word] = sum >>> 0
    if (sum === after[word]) break
  }
  return after
}

const addresses = fc.oneof(
  fc.constantFrom(...ADDRESSES),
  fc.constantFrom(...ADDRESSES.filter((text) => !text.includes(':'))).map((text) => `::ffff:${text}`),
  fc.constantFrom('10.1.2', '010.1.2.3', '2001:db8::1%eth0', '[2001:db8::1]', 'unknown'),
  fc.ipV4(),
  fc.ipV6(),
  fc.constant(undefined),
)

const ORIGINS: readonly string[] = [
  ...DOMAINS.filter((text) => !text.includes('*')).map((text) => text.replace('münchen', 'xn--mnchen-3ya')),
  ...DOMAINS.filter((text) => text.includes('*')).flatMap((text) => {
    const ascii = text.replace('münchen', 'xn--mnchen-3ya')
    return ['a.', 'b.', 'q.', 'a.b.', 'x.y.z.', ''].map((labels) => ascii.replace('*.', labels))
  }),
  'https://bucket.s3.amazonaws.com',
  'https://x.eu-west-1.compute.amazonaws.com',
  'https://example.org.evil.example',
  'https://evilexample.org',
]

const origins = fc.oneof(
  { arbitrary: fc.constantFrom(...ORIGINS), weight: 12 },
  {
    arbitrary: fc.constantFrom(
      'HTTPS://example.org',
      'https://example.org:443',
      'https://example.org/',
      '',
      '*',
    ),
    weight: 1,
  },
)

const SUFFIXES: readonly string[] = [
  '',
  '',
  '/',
  '?',
  '?q=1',
  '?q=%C3%A4&r',
  '?q=%c3%a4&r',
  '/y',
  '/y/',
  '/y?q=1',
  '/y.z',
  '//',
  '.',
  'z',
  ';p=1',
  '%2Fy',
  '%2fy?q=1',
  '%252Fy',
  '/%2e%2e/z',
  '/../z',
  '/..;/z',
  '/%C3%A4',
  '#f',
  '?a=%00',
]

const URLS: readonly string[] = PREFIXES.flatMap((text) => {
  const ascii = text.replace('münchen', 'xn--mnchen-3ya')
  return ascii.includes(':*')
    ? ['', ':1', ':2', ':7', ':80', ':8080', ':65535'].map((port) => ascii.replace(':*', port))
    : [ascii]
})

const returnUrls = fc.oneof(
  {
    arbitrary: fc
      .tuple(fc.constantFrom(...URLS), fc.constantFrom(...SUFFIXES))
      .map((parts) => parts.join('')),
    weight: 16,
  },
  {
    arbitrary: fc.constantFrom(
      '',
      'https://a.example@evil.example/x',
      'https:/a.example/x',
      'javascript:alert(1)',
    ),
    weight: 1,
  },
)

const signatures = fc.record({
  age: fc.constantFrom(0, 1, 2, 60, 61, 299, 300, 301, 302, 3_600, 3_601, -1, -61, -300, -301, -3_601),
  digest: fc.constantFrom(undefined, true, false),
  contentType: fc.constantFrom(undefined, true, false),
})

const METHODS = ['GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PROPFIND', 'OPTIONS', 'CONNECT'] as const

type Headers = Record<string, string>

/** Headers of a browser or a server. */
const senders: fc.Arbitrary<Headers> = fc.oneof(
  fc.constant({}),
  origins.map((origin): Headers => ({ origin })),
  origins.map((origin): Headers => ({ origin })),
  origins.map((origin): Headers => ({ 'x-origin': origin })),
  fc.tuple(origins, origins).map(([origin, other]): Headers => ({ origin, 'x-origin': other })),
  fc
    .tuple(origins, fc.constantFrom('same-origin', 'same-site', 'cross-site', 'none', 'odd'))
    .map(([origin, site]): Headers => ({ origin, 'sec-fetch-site': site, 'sec-fetch-mode': 'cors' })),
  fc
    .constantFrom('same-origin', 'cross-site', 'none')
    .map((site): Headers => ({ 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' })),
  fc
    .tuple(origins, fc.constantFrom('GET', 'PUT', 'PROPFIND'), fc.constantFrom('x-a', 'x-c, content-type'))
    .map(([origin, method, names]): Headers => ({
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': names,
    })),
)

/** A request for any guard. */
export const requests: fc.Arbitrary<RequestDescription> = fc
  .record({
    method: fc.constantFrom(...METHODS),
    url: fc.oneof(
      fc.constant('https://gateway.example/login?x=1'),
      fc.constantFrom(...ORIGINS.filter((text) => text.startsWith('http'))).map((origin) => `${origin}/`),
    ),
    headers: senders,
    content: fc.constantFrom(undefined, undefined, '{}', ''),
    type: fc.boolean(),
    address: addresses,
    returnUrl: returnUrls,
    returnUrlOptional: fc.boolean(),
    country: fc.constantFrom(undefined, 'FR', 'us', 'AQ', 'BV', 'XX', ['US', 'FR'], ['US', 'XX']),
    here: fc.constantFrom('london', 'frankfurt', 'dallas'),
    signature: fc.option(signatures, { nil: undefined }),
    sinkFails: fc.boolean(),
  })
  .map(({ headers, content, type, method, ...request }) => ({
    ...request,
    method: Object.hasOwn(headers, 'access-control-request-method') ? 'OPTIONS' : method,
    headers: type ? { ...headers, 'content-type': 'application/json' } : headers,
    ...(content !== undefined && { body: content }),
  }))
