import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { lintPolicy, parsePolicy, PolicyError, scorePolicy } from 'portcullis'
import { scoreOf } from '../../../src/policy/score.ts'
import { runs } from '../../support/runs.ts'

/** Sections that use every protection. */
const best = {
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['8.8.8.0/24', '2a00:1450::/32'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}
const sections = Object.keys(best) as (keyof typeof best)[]

const app = (members: object): object => ({ appId: 'a', ...members })
const withMode = (mode: string): object =>
  Object.fromEntries(Object.entries(best).map(([name, section]) => [name, { ...section, mode }]))

/** Policies of all kinds, with many findings. */
const policies = fc.record(
  {
    serverOnly: fc.record({
      mode: fc.constant('enforce'),
      maxAge: fc.constantFrom(300, 900),
      requireDigest: fc.boolean(),
    }),
    ipWhitelist: fc.record({
      mode: fc.constant('enforce'),
      ranges: fc.subarray([
        '0.0.0.0/0',
        '10.0.0.0/8',
        '8.0.0.0/7',
        '8.8.8.0/25',
        '8.8.8.128/25',
        '2a00::/32',
      ]),
      deny: fc.subarray(['8.8.8.0/24', '9.9.9.9', '2a00::/16']),
      lists: fc.subarray(['office']),
    }),
    domainProtect: fc.record({
      mode: fc.constant('enforce'),
      domains: fc.subarray([
        'null',
        'http://example.org',
        'https://*.example.org',
        'https://a.example.org',
        'http://localhost',
      ]),
    }),
    returnUrlGuard: fc.record({
      mode: fc.constant('enforce'),
      urls: fc.subarray([
        'http://example.org/a',
        'https://example.org/',
        'https://example.org/a',
        'http://localhost/',
      ]),
    }),
    regionPin: fc.record(
      { mode: fc.constant('enforce'), fallback: fc.constant('world') },
      { requiredKeys: ['mode'] },
    ),
    auditAccess: fc.record({ mode: fc.constant('enforce'), onSinkFailure: fc.constantFrom('deny', 'allow') }),
  },
  { requiredKeys: [] },
)
const modes = fc.tuple(...sections.map(() => fc.constantFrom('enforce', 'report', 'off')))

/** The sections of a policy, each in its drawn mode. */
function inModes(policy: object, drawn: readonly string[]): Record<string, object> {
  return Object.fromEntries(
    Object.entries(policy).map(([name, section]) => [
      name,
      { ...(section as object), mode: drawn[sections.indexOf(name as keyof typeof best)] },
    ]),
  )
}

describe('scorePolicy', () => {
  it.each([
    ['every guard enforces and nothing is found', best, 100],
    ['every guard only reports', withMode('report'), 25],
    ['every guard is off', withMode('off'), 0],
    ['every section is missing', {}, 0],
    ['one guard of 20 points is missing', { ...best, serverOnly: undefined }, 80],
    ['one guard of 10 points reports', { ...best, regionPin: { mode: 'report' } }, 92],
    [
      'all addresses are admitted',
      { ...best, ipWhitelist: { mode: 'enforce', ranges: ['0.0.0.0/0', '2a00::'] } },
      85,
    ],
    ['losses are allowed', { ...best, auditAccess: { mode: 'enforce', onSinkFailure: 'allow' } }, 97],
    ['there is one advice', { ...best, ipWhitelist: { mode: 'enforce', ranges: ['8.8.8.8'] } }, 99],
  ])('when %s', (_, members, score) => {
    expect(scorePolicy(JSON.parse(JSON.stringify(app(members)))).score).toBe(score)
  })

  it('counts each kind of finding once, however many entries have it', () => {
    const domains = ['http://a.example', 'http://b.example', 'http://c.example']
    const of = (count: number): number =>
      scorePolicy(app({ ...best, domainProtect: { mode: 'enforce', domains: domains.slice(0, count) } }))
        .score
    expect([of(1), of(3)]).toEqual([85, 85])
  })

  it('ranks the most expensive findings first', () => {
    const { fixes } = scorePolicy(
      app({
        ...best,
        ipWhitelist: { mode: 'enforce', ranges: ['8.8.8.8'] },
        domainProtect: { mode: 'enforce', domains: ['https://example.org', 'null'] },
        returnUrlGuard: { mode: 'off', urls: ['https://example.com/', 'http://example.org/'] },
        auditAccess: { mode: 'report', onSinkFailure: 'allow' },
      }),
    )
    expect(fixes.map(({ code, path }) => `${code} ${path}`)).toEqual([
      'mode-off returnUrlGuard.mode',
      'null-origin domainProtect.domains[1]',
      'mode-report auditAccess.mode',
      'ipv6-missing ipWhitelist.ranges',
      'audit-loss auditAccess.onSinkFailure',
      // A guard that is off protects nothing, however well its section is written.
      'insecure-scheme returnUrlGuard.urls[1]',
      'whole-origin returnUrlGuard.urls[0]',
      'whole-origin returnUrlGuard.urls[1]',
    ])
  })

  it('is 100 exactly if there is nothing to fix, and otherwise lists every finding', () => {
    fc.assert(
      fc.property(policies, modes, (policy, drawn) => {
        const document = app(inModes(policy, drawn))
        const { score, fixes } = scorePolicy(document)
        expect(score === 100).toBe(fixes.length === 0)
        expect(score).toBeGreaterThanOrEqual(0)
        const texts = (findings: readonly object[]): string[] =>
          findings.map((one) => JSON.stringify(one)).toSorted()
        expect(texts(fixes)).toEqual(texts(lintPolicy(document)))
      }),
    )
  })

  it('never decreases when a guard changes from missing to off to report to enforce', () => {
    fc.assert(
      fc.property(policies, modes, fc.constantFrom(...sections), (policy, drawn, name) => {
        const others = inModes(policy, drawn)
        const section = others[name] ?? best[name]
        const { [name]: _, ...without } = others
        const scores = [
          without,
          ...['off', 'report', 'enforce'].map((mode) => ({ ...others, [name]: { ...section, mode } })),
        ].map((members) => scorePolicy(app(members)).score)
        expect(scores).toEqual(scores.toSorted((a, b) => a - b))
      }),
    )
  })

  it('never decreases when findings are removed', () => {
    fc.assert(
      fc.property(policies, modes, fc.infiniteStream(fc.boolean()), (policy, drawn, stays) => {
        const document = app(inModes(policy, drawn))
        const findings = lintPolicy(document)
        const parsed = parsePolicy(document)
        const left = findings.filter(() => stays.next().value)
        expect(scoreOf(parsed, left)).toBeGreaterThanOrEqual(scoreOf(parsed, findings))
      }),
      { numRuns: runs(500) },
    )
  })

  it('refuses a document that is not a policy', () => {
    expect(() => scorePolicy({ appId: 'a', name: 7 })).toThrow(PolicyError)
  })
})
