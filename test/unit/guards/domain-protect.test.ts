import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { decideDomainProtect, type OriginFacts } from '../../../src/guards/domain-protect.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import { describeGuard } from './table.ts'

const DOMAINS = [
  'https://example.org',
  'https://*.example.net:8443',
  'http://gateway.example',
  'app-scheme://x',
]
const compiled = (settings: object) =>
  compilePolicy(
    parsePolicy({ appId: 'a', domainProtect: { mode: 'enforce', domains: DOMAINS, ...settings } }),
  )
const policies = [
  compiled({}),
  compiled({ methods: ['GET'], credentials: true }),
  compiled({ domains: ['null'] }),
]

const origins = [
  ...DOMAINS.map((text) => text.replace('*', 'a.b')),
  'null',
  '',
  'https://example.org, https://example.org',
  'https://EXAMPLE.org',
  'https://evil.example',
  'https://example.net:8443',
  'http://example.org',
]
const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...origins) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })
const SITES = ['same-origin', 'same-site', 'cross-site', 'none', '', 'cross-site, same-origin', 'Same-Origin']

const anyFacts: fc.Arbitrary<OriginFacts> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'OPTIONS', 'M-SEARCH'),
  receivedMethod: fc.constantFrom('GET', 'POST', 'OPTIONS', 'M-SEARCH'),
  preflight: fc.boolean(),
  origin: maybe(text),
  xOrigin: maybe(text),
  fetchMetadata: maybe(fc.constant('sec-fetch-site')),
  fetchSite: maybe(fc.oneof(fc.constantFrom(...SITES), fc.string())),
  fetchMode: maybe(fc.constantFrom('cors', 'navigate', 'no-cors')),
  ownOrigin: maybe(fc.constantFrom('http://gateway.example', 'https://example.org', 'http://localhost:3000')),
  proxied: fc.boolean(),
  headersComplete: fc.boolean(),
})

describe('decideDomainProtect, whatever comes', () => {
  it('answers without a throw, and grants only an origin that was sent and is among the domains', () => {
    fc.assert(
      fc.property(fc.constantFrom(...policies), anyFacts, (policy, facts) => {
        const { decision, outcome: cors } = decideDomainProtect(policy, facts)
        const { effect, code } = decision
        if (cors !== undefined) {
          expect(cors.origin).toBe(facts.origin)
          expect(policy.domainProtect?.domains.find(cors.origin)).toBeDefined()
          expect(facts.headersComplete).toBe(true)
        }
        // A page gets headers unless it is refused for its origin, and nobody else does.
        expect(cors !== undefined).toBe(
          facts.origin !== undefined && (effect === 'allow' || code === 'METHOD_NOT_ALLOWED'),
        )
      }),
      { numRuns: 20_000 },
    )
  })

  it('never lets X-Origin or Fetch Metadata admit what Origin alone does not', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...policies),
        anyFacts.filter(({ origin }) => origin !== undefined),
        (policy, facts) => {
          const plain = { ...facts, xOrigin: undefined, fetchSite: undefined }
          const alone = decideDomainProtect(policy, plain).decision
          // Same-origin requests are free of `methods`; as to the origin they gain nothing.
          if (alone.code === 'ORIGIN_NOT_ALLOWED')
            expect(decideDomainProtect(policy, facts).decision.code).toBe('ORIGIN_NOT_ALLOWED')
        },
      ),
      { numRuns: 20_000 },
    )
  })
})

const facts: OriginFacts = {
  method: 'GET',
  receivedMethod: 'GET',
  preflight: false,
  origin: undefined,
  xOrigin: undefined,
  fetchMetadata: undefined,
  fetchSite: undefined,
  fetchMode: undefined,
  ownOrigin: 'https://api.example',
  proxied: false,
  headersComplete: true,
}
const LIST = { domains: DOMAINS }
const PAGE = { origin: 'https://example.org', fetchMetadata: 'sec-fetch-site', fetchSite: 'cross-site' }
const OWN = { fetchMetadata: 'sec-fetch-site', fetchSite: 'same-origin', fetchMode: 'cors' }
const grant = (origin: string, settings: object = {}) => ({
  origin,
  settings: {
    methods: undefined,
    headers: undefined,
    exposedHeaders: undefined,
    credentials: undefined,
    maxAge: undefined,
    ...settings,
  },
})

describeGuard({ name: 'domainProtect', guard: decideDomainProtect, facts }, [
  [
    'allows a page of a domain, and grants its origin',
    LIST,
    PAGE,
    'ALLOWED',
    { outcome: grant('https://example.org'), evidence: { case: 'browser', entry: 'https://example.org' } },
  ],
  [
    'allows a page of a subdomain by a wildcard',
    LIST,
    { origin: 'https://a.example.net:8443' },
    'ALLOWED',
    { evidence: { case: 'browser', entry: 'https://*.example.net:8443' } },
  ],
  ['allows a page of an application scheme', LIST, { origin: 'app-scheme://x' }, 'ALLOWED'],
  [
    'refuses the bare domain of a wildcard',
    LIST,
    { origin: 'https://example.net:8443' },
    'ORIGIN_NOT_ALLOWED',
  ],
  [
    'refuses another origin, and grants it nothing',
    LIST,
    { ...PAGE, origin: 'https://evil.example' },
    'ORIGIN_NOT_ALLOWED',
    { outcome: undefined, evidence: { case: 'browser' } },
  ],
  ['refuses another scheme', LIST, { origin: 'http://example.org' }, 'ORIGIN_NOT_ALLOWED'],
  ['refuses another port', LIST, { origin: 'https://example.org:8443' }, 'ORIGIN_NOT_ALLOWED'],
  [
    'refuses a spelling that no browser sends',
    LIST,
    { origin: 'https://EXAMPLE.org' },
    'ORIGIN_NOT_ALLOWED',
    { evidence: { case: 'invalid' } },
  ],
  [
    'refuses two origins in one header',
    LIST,
    { origin: 'https://example.org, https://example.org' },
    'ORIGIN_NOT_ALLOWED',
  ],
  [
    'refuses an opaque origin',
    LIST,
    { origin: 'null' },
    'ORIGIN_NOT_ALLOWED',
    { evidence: { case: 'opaque' } },
  ],
  ['allows an opaque origin where `null` is a domain', { domains: ['null'] }, { origin: 'null' }, 'ALLOWED'],
  ['refuses every origin by an empty list', {}, PAGE, 'ORIGIN_NOT_ALLOWED'],
  [
    'refuses a method that pages may not use, and lets the page read that',
    { ...LIST, methods: ['GET'] },
    { ...PAGE, method: 'POST', receivedMethod: 'POST' },
    'METHOD_NOT_ALLOWED',
    { outcome: grant('https://example.org', { methods: ['GET'] }) },
  ],
  [
    'refuses a method that was overridden to one that pages may use',
    { ...LIST, methods: ['GET'] },
    { ...PAGE, method: 'GET', receivedMethod: 'POST' },
    'METHOD_NOT_ALLOWED',
  ],
  [
    'allows HEAD where GET is allowed',
    { ...LIST, methods: ['GET'] },
    { ...PAGE, method: 'HEAD', receivedMethod: 'HEAD' },
    'ALLOWED',
  ],
  [
    'allows a page of this server any method',
    { ...LIST, methods: ['GET'] },
    {
      ...PAGE,
      fetchSite: 'same-origin',
      ownOrigin: 'https://example.org',
      method: 'PUT',
      receivedMethod: 'PUT',
    },
    'ALLOWED',
  ],
  [
    'allows a preflight for any method, which the browser compares itself',
    { ...LIST, methods: ['GET'] },
    { ...PAGE, preflight: true, method: 'OPTIONS', receivedMethod: 'OPTIONS' },
    'ALLOWED',
  ],
  [
    'refuses an `X-Origin` that names another origin than `Origin`',
    LIST,
    { ...PAGE, xOrigin: 'https://a.example.net:8443' },
    'ORIGIN_NOT_ALLOWED',
    { outcome: undefined, evidence: { case: 'contradiction' } },
  ],
  [
    'refuses a value of `Sec-Fetch-Site` that no browser sends',
    LIST,
    { ...PAGE, fetchSite: 'nowhere' },
    'ORIGIN_NOT_ALLOWED',
  ],
  [
    'refuses `Sec-Fetch-Site: none` beside the origin of a page',
    LIST,
    { ...PAGE, fetchSite: 'none' },
    'ORIGIN_NOT_ALLOWED',
  ],
  [
    'notes a `Sec-Fetch-Site` that does not fit the host, and does not refuse for it',
    LIST,
    { ...PAGE, fetchSite: 'same-origin' },
    'ALLOWED',
    { evidence: { case: 'browser', entry: 'https://example.org', fetchSite: 'same-origin' } },
  ],
  [
    'allows a server that names a domain',
    LIST,
    { xOrigin: 'https://example.org' },
    'ALLOWED',
    { outcome: undefined, evidence: { case: 'server', entry: 'https://example.org' } },
  ],
  [
    'refuses a server that names another origin',
    LIST,
    { xOrigin: 'https://evil.example' },
    'ORIGIN_NOT_ALLOWED',
    { evidence: { case: 'server' } },
  ],
  [
    'refuses a server that names what is not an origin',
    LIST,
    { xOrigin: 'example.org' },
    'ORIGIN_NOT_ALLOWED',
  ],
  ['asks a server for an origin', LIST, {}, 'ORIGIN_REQUIRED', { evidence: { case: 'absent' } }],
  [
    'asks a browser for an origin, whatever `X-Origin` says',
    LIST,
    { ...OWN, fetchSite: 'none', xOrigin: 'https://example.org' },
    'ORIGIN_REQUIRED',
    { evidence: { case: 'browser without origin' } },
  ],
  [
    'asks for an origin in a navigation',
    LIST,
    { ...OWN, fetchSite: 'cross-site', fetchMode: 'navigate' },
    'ORIGIN_REQUIRED',
    { evidence: { case: 'navigation' } },
  ],
  [
    'allows a same-origin request to a domain of the app',
    LIST,
    { ...OWN, ownOrigin: 'https://example.org' },
    'ALLOWED',
    { evidence: { case: 'same-origin', entry: 'https://example.org' } },
  ],
  [
    'allows a same-origin request to a domain behind a proxy that ends TLS',
    LIST,
    { ...OWN, ownOrigin: 'http://example.org' },
    'ALLOWED',
  ],
  [
    'refuses a same-origin request to another host',
    LIST,
    { ...OWN, ownOrigin: 'https://evil.example' },
    'ORIGIN_REQUIRED',
  ],
  [
    'refuses a same-origin request to a host that is not known',
    LIST,
    { ...OWN, ownOrigin: undefined },
    'ORIGIN_REQUIRED',
  ],
  [
    'refuses a same-site request without an origin',
    LIST,
    { ...OWN, ownOrigin: 'https://example.org', fetchSite: 'same-site' },
    'ORIGIN_REQUIRED',
  ],
  [
    'refuses a request of which header lines may be lost',
    LIST,
    { ...PAGE, headersComplete: false },
    'ORIGIN_NOT_ALLOWED',
    { outcome: undefined, evidence: {} },
  ],
])
