import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { decideDomainProtect, type OriginFacts } from '../../../src/guards/domain-protect.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import { runs } from '../../support/runs.ts'

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

describe('decideDomainProtect, with any input', () => {
  it('never throws, and grants only an origin that was sent and is among the domains', () => {
    fc.assert(
      fc.property(fc.constantFrom(...policies), anyFacts, (policy, facts) => {
        const { decision, outcome: cors } = decideDomainProtect(policy, facts)
        const { effect, code } = decision
        if (cors !== undefined) {
          expect(cors.origin).toBe(facts.origin)
          expect(policy.domainProtect?.domains.find(cors.origin)).toBeDefined()
          expect(facts.headersComplete).toBe(true)
        }
        // A page gets headers unless it is refused for its origin. Other callers get none.
        expect(cors !== undefined).toBe(
          facts.origin !== undefined && (effect === 'allow' || code === 'METHOD_NOT_ALLOWED'),
        )
      }),
      { numRuns: runs(20_000) },
    )
  })

  it('never admits with X-Origin or Fetch Metadata what Origin alone does not admit', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...policies),
        anyFacts.filter(({ origin }) => origin !== undefined),
        (policy, facts) => {
          const plain = { ...facts, xOrigin: undefined, fetchSite: undefined }
          const alone = decideDomainProtect(policy, plain).decision
          // Same-origin requests are not subject to `methods`, but gain nothing regarding the origin.
          if (alone.code === 'ORIGIN_NOT_ALLOWED')
            expect(decideDomainProtect(policy, facts).decision.code).toBe('ORIGIN_NOT_ALLOWED')
        },
      ),
      { numRuns: runs(20_000) },
    )
  })
})
