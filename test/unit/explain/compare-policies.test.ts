import { describe, expect, it } from '@jest/globals'
import {
  comparePolicies,
  compareStoredPolicies,
  ConfigError,
  explain,
  memoryStore,
  type GuardName,
  type PolicyComparison,
  type PolicyInput,
  type Witness,
} from 'portcullis'

/** Whether the guard of a witness lets its request pass. */
function passes(policy: PolicyInput | undefined, { guard, request }: Witness, lists?: Lists): boolean {
  if (policy === undefined) return false
  const decision = explain(policy, { ...request, lists }).decisions.find((one) => one.guard === guard)
  if (decision === undefined) throw new Error(`${guard} was not asked`)
  return decision.effect === 'allow' || decision.mode !== 'enforce'
}

type Lists = ReadonlyMap<string, readonly { range: string; expires?: string }[]>

/** The comparison, after the guards have confirmed each witness. */
function compared(
  before: PolicyInput | undefined,
  after: PolicyInput | undefined,
  lists?: Lists,
): PolicyComparison {
  const comparison = comparePolicies(before, after, { lists })
  for (const { gained, lost } of Object.values(comparison.protections)) {
    if (gained !== undefined && gained.grant === undefined)
      expect([gained.sentence, passes(before, gained, lists), passes(after, gained, lists)]).toEqual([
        gained.sentence,
        false,
        true,
      ])
    if (lost !== undefined && lost.grant === undefined)
      expect([lost.sentence, passes(before, lost, lists), passes(after, lost, lists)]).toEqual([
        lost.sentence,
        true,
        false,
      ])
  }
  return comparison
}

const mode = 'enforce'
const policyOf = (sections: Omit<PolicyInput, 'appId'>): PolicyInput => ({ appId: 'a', ...sections })
const ips = (...ranges: string[]): PolicyInput => policyOf({ ipWhitelist: { mode, ranges } })
const domains = (more: object, ...domains: string[]): PolicyInput =>
  policyOf({ domainProtect: { mode, domains, ...more } })
const urls = (...urls: (string | { exact: string })[]): PolicyInput =>
  policyOf({ returnUrlGuard: { mode, urls } })
const server = (more: object): PolicyInput => policyOf({ serverOnly: { mode, ...more } })
const region = (more: object): PolicyInput => policyOf({ regionPin: { mode, ...more } })
const audit = (more: object): PolicyInput => policyOf({ auditAccess: { mode, ...more } })

type Row = [guard: GuardName, before: PolicyInput, after: PolicyInput, verdict: string, said: string]

const A = 'https://a.example.org'

describe('comparePolicies', () => {
  it.each<Row>([
    ['ipWhitelist', ips('203.0.113.0/24'), ips('203.0.113.0/25', '203.0.113.128/25'), 'equal', ''],
    [
      'ipWhitelist',
      ips('203.0.113.0/24'),
      ips('203.0.113.0/24', '198.51.100.7'),
      'wider',
      '198.51.100.7 was',
    ],
    ['ipWhitelist', ips('10.0.0.0/8', '::/0'), ips('10.0.0.0/9'), 'narrower', '10.128.0.0 passed'],
    ['ipWhitelist', ips('2001:db8::/33'), ips('2001:db8::/32'), 'wider', '2001:db8:8000:: was'],
    ['ipWhitelist', ips('255.255.255.255'), ips('255.255.255.254/31'), 'wider', '255.255.255.254 was'],
    [
      'ipWhitelist',
      policyOf({ ipWhitelist: { mode, ranges: ['10.0.0.0/8'], deny: ['10.0.0.0/16'] } }),
      ips('10.1.0.0/16'),
      'narrower',
      '10.2.0.0 passed',
    ],
    [
      'ipWhitelist',
      ips('0.0.0.0/0', '::/0'),
      policyOf({ ipWhitelist: { mode: 'report' } }),
      'wider',
      'a request without a readable address was',
    ],
    ['domainProtect', domains({}, A), domains({}, 'HTTPS://A.example.org:443'), 'equal', ''],
    [
      'domainProtect',
      domains({}, A),
      domains({}, 'https://*.example.org'),
      'wider',
      'https://b.example.org was',
    ],
    [
      'domainProtect',
      domains({}, 'https://*.example.org', A),
      domains({}, 'https://*.example.org', 'https://*.x.example.org'),
      'equal',
      '',
    ],
    [
      'domainProtect',
      domains({}, 'https://*.example.org:8443'),
      domains({}, 'https://*.x.example.org:8443'),
      'narrower',
      'https://a.example.org:8443 passed',
    ],
    // A wildcard does not span a public suffix, so the wider one does not contain these.
    [
      'domainProtect',
      domains({}, 'https://*.amazonaws.com'),
      domains({}, 'https://*.amazonaws.com', 'https://*.b.s3.amazonaws.com'),
      'wider',
      'https://a.b.s3.amazonaws.com was',
    ],
    [
      'domainProtect',
      domains({}, A),
      domains({ server: 'none' }, A),
      'wider',
      'a server request without an origin',
    ],
    [
      'domainProtect',
      domains({}, A),
      domains({ server: 'signed' }, A),
      'narrower',
      'a server request that claims',
    ],
    ['domainProtect', domains({}, A), domains({ methods: ['POST'] }, A), 'narrower', `${A} passed`],
    [
      'domainProtect',
      domains({ methods: ['GET'] }, A),
      domains({ methods: ['GET', 'HEAD'] }, A),
      'wider',
      'use HEAD after',
    ],
    [
      'domainProtect',
      domains({ methods: [] }),
      domains({ methods: [] }, A),
      'wider',
      `a preflight from ${A} was`,
    ],
    ['domainProtect', domains({}, A), domains({ credentials: true }, A), 'wider', 'could not read responses'],
    [
      'domainProtect',
      domains({}, A),
      domains({ headers: ['x-a'] }, A),
      'narrower',
      'set the request header `x-0`',
    ],
    [
      'domainProtect',
      domains({}, A),
      domains({ exposedHeaders: ['x-a'] }, A),
      'wider',
      'response header `x-a`',
    ],
    ['domainProtect', domains({}, A), domains({ maxAge: 600 }, A), 'wider', 'for 600 s'],
    ['domainProtect', domains({}), domains({ credentials: true }), 'equal', ''],
    ['returnUrlGuard', urls(`${A}/x`), urls(`${A}/x`, `${A}/x/y`, { exact: `${A}/x?z=1` }), 'equal', ''],
    ['returnUrlGuard', urls(`${A}/x/`), urls(`${A}/x`), 'wider', `the return URL ${A}/x was`],
    [
      'returnUrlGuard',
      urls(`${A}/x/`, { exact: `${A}/x` }),
      urls(`${A}/x`),
      'wider',
      `the return URL ${A}/x? was`,
    ],
    ['returnUrlGuard', urls(`${A}/x/`), urls({ exact: `${A}/x/%c3%a4` }), 'narrower', `${A}/x/ passed`],
    ['returnUrlGuard', urls(), urls({ exact: `${A}/x%2Fy` }), 'wider', `${A}/x%2Fy was`],
    [
      'returnUrlGuard',
      urls('http://127.0.0.1:*/x'),
      urls('http://127.0.0.1/x'),
      'narrower',
      '127.0.0.1:1/x passed',
    ],
    ['returnUrlGuard', urls('myapp://done'), urls('myapp://done/'), 'narrower', 'myapp://done passed'],
    ['returnUrlGuard', policyOf({}), urls(), 'wider', 'where none is required'],
    ['serverOnly', server({}), server({ maxAge: 301 }), 'wider', 'signed 301 s ago was'],
    ['serverOnly', server({}), server({ requireDigest: false }), 'wider', 'does not cover its body was'],
    ['serverOnly', server({ requireContentType: false }), server({}), 'narrower', '`content-type` passed'],
    [
      'serverOnly',
      server({ requireDigest: false }),
      server({ requireContentType: false }),
      'both',
      'does not cover its body passed',
    ],
    [
      'serverOnly',
      server({}),
      policyOf({ serverOnly: { mode: 'report' } }),
      'wider',
      'without a signature was',
    ],
    [
      'regionPin',
      region({}),
      region({ fallback: 'europe' }),
      'wider',
      'in london about a person whose country is unknown was',
    ],
    [
      'regionPin',
      region({ fallback: 'world' }),
      region({ fallback: 'europe' }),
      'both',
      'in dallas about a person whose country is unknown passed',
    ],
    [
      'regionPin',
      region({ fallback: 'moon' }),
      region({ fallback: 'mars' }),
      'both',
      'in somewhere-1 about a person',
    ],
    ['regionPin', region({}), region({ onMisdirected: 'redirect' }), 'equal', ''],
    ['auditAccess', audit({}), audit({ onSinkFailure: 'allow' }), 'wider', 'events cannot be kept was'],
    [
      'auditAccess',
      audit({ onSinkFailure: 'allow' }),
      policyOf({ auditAccess: { mode: 'off' } }),
      'equal',
      '',
    ],
    ['auditAccess', audit({}), policyOf({}), 'narrower', 'every request passed'],
  ])('%s: from %j to %j is %s', (guard, before, after, verdict, said) => {
    const comparison = compared(before, after)
    expect(comparison.protections[guard].verdict).toBe(verdict)
    expect(comparison.verdict).toBe(verdict)
    expect(comparison.sentence).toContain(said)
    const turned = { equal: 'equal', narrower: 'wider', wider: 'narrower', both: 'both' } as const
    expect(compared(after, before).verdict).toBe(turned[comparison.verdict])
  })

  it('knows what a signature required by `domainProtect` needs from `serverOnly`', () => {
    const before = policyOf({
      domainProtect: { mode, domains: [A], server: 'signed' },
      serverOnly: { mode: 'off' },
    })
    const after = { ...before, serverOnly: { mode } } as const
    const { protections } = compared(before, after)
    expect([protections.domainProtect.verdict, protections.serverOnly.verdict]).toEqual(['wider', 'narrower'])
  })

  it('lists the members in which equal policies differ', () => {
    expect(comparePolicies(policyOf({ name: 'x' }), policyOf({})).sentence).toBe(
      'Both policies allow the same requests. They differ in `name`.',
    )
  })

  it.each<object>([
    { list: new Map() },
    { lists: {} },
    { lists: [new Map()] },
    { now: Number.NaN },
    { now: '2029-01-01' },
    { jurisdictions: { moon: {} } },
  ])('refuses the options %j', (options) => {
    expect(() => comparePolicies(policyOf({}), policyOf({}), options)).toThrow(ConfigError)
  })

  it('treats an app that does not exist as one that refuses everything', () => {
    expect(compared(undefined, undefined).verdict).toBe('equal')
    expect(compared(undefined, ips('10.0.0.1')).verdict).toBe('wider')
    expect(compared(ips('10.0.0.1'), undefined).sentence).toContain('10.0.0.1 passed')
    expect(compared(ips(), undefined).verdict).toBe('equal')
  })

  describe('at a length limit', () => {
    // A name has at most 253 characters. This one has space for only one more label of one character.
    const base = `${'b'.repeat(61)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(53)}.example`.slice(-251)
    const labels = 'abcdefghijklmnopqrstuvwxyz0123456789_'.split('')
    const each = labels.map((label) => `https://${label}.${base}`)

    it('finds the last free name below a wildcard, or that none is left', () => {
      expect(base).toHaveLength(251)
      const wildcard = domains({}, `https://*.${base}`)
      expect(compared(domains({}, ...each), wildcard).verdict).toBe('equal')
      expect(
        compared(domains({}, ...each.filter((text) => !text.includes('//q'))), wildcard).gained?.request,
      ).toEqual({
        url: 'https://gateway.example/',
        headers: { origin: `https://q.${base}` },
      })
    })

    it('finds the last free URL below a prefix, or that none is left', () => {
      const prefix = `https://a.example/${'x'.repeat(2_028)}`
      expect(prefix).toHaveLength(2_046)
      const longer = `${prefix}y`
      expect(compared(urls({ exact: longer }), urls(longer)).gained?.request.returnUrl).toBe(`${longer}?`)
      const all = [{ exact: longer }, { exact: `${longer}?` }, { exact: `${longer}/` }]
      expect(compared(urls(...all), urls(longer)).verdict).toBe('equal')
      const longest = `${longer}z`
      expect(compared(urls({ exact: longest }), urls(longest)).verdict).toBe('equal')
      expect(compared(urls({ exact: prefix }), urls(prefix)).verdict).toBe('wider')
    })
  })

  describe('with named lists', () => {
    const named = policyOf({ ipWhitelist: { mode, lists: ['office'], denyLists: ['blocked'] } })
    const lists: Lists = new Map([
      [
        'office',
        [{ range: '203.0.113.0/24' }, { range: '198.51.100.0/24', expires: '2020-01-01T00:00:00Z' }],
      ],
      ['blocked', [{ range: '203.0.113.0/26' }]],
    ])

    it('counts the entries that have not expired', () => {
      const comparison = compared(ips(), named, lists)
      expect(comparison.protections.ipWhitelist.gained?.request.address).toBe('203.0.113.64')
      const then = comparePolicies(ips(), named, { lists, now: Date.UTC(2019, 0, 1) })
      expect(then.protections.ipWhitelist.gained?.request.address).toBe('198.51.100.0')
    })

    it('compares one policy with two states of its lists', () => {
      const after = new Map(lists).set('blocked', [{ range: '203.0.113.0/25' }])
      const comparison = comparePolicies(named, named, { lists: [lists, after] })
      expect([comparison.verdict, comparison.lost?.request.address]).toEqual(['narrower', '203.0.113.64'])
      after.delete('blocked')
      expect(comparePolicies(named, named, { lists: [lists, after] }).verdict).toBe('narrower')
    })

    it('refuses to guess their contents', () => {
      expect(() => comparePolicies(named, named)).toThrow(ConfigError)
      const reported = policyOf({ ipWhitelist: { mode: 'report', lists: ['office'] } })
      expect(comparePolicies(reported, reported).verdict).toBe('equal')
    })

    it('reads them from a store, in slices', async () => {
      const store = memoryStore()
      for (const [name, entries] of lists) await store.writeList(name, entries, 0)
      const readList = (name: string) => store.readList(name)
      expect(await compareStoredPolicies(ips(), named, { lists: readList })).toEqual(
        comparePolicies(ips(), named, { lists }),
      )
    })
  })
})
