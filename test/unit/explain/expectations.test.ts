import { describe, expect, it } from '@jest/globals'
import {
  checkExpectations,
  comparePolicies,
  ConfigError,
  ExpectationBroken,
  memoryStore,
  parsePolicy,
  PolicyError,
  tryExpectations,
  type Expectation,
  type PolicyInput,
} from 'portcullis'

type Written = NonNullable<PolicyInput['expect']>[number]
type RequestWritten = Written['request']

const mode = 'enforce'
const POLICY: PolicyInput = {
  appId: 'a',
  serverOnly: { mode },
  ipWhitelist: { mode, ranges: ['203.0.113.0/24'], lists: ['partners'] },
  domainProtect: { mode, domains: ['https://example.org'], server: 'claim' },
  returnUrlGuard: { mode, urls: ['https://example.org/callback/'] },
  regionPin: { mode },
  auditAccess: { mode },
}

/** A request that every guard lets pass. */
const GOOD = {
  method: 'POST',
  url: 'https://gateway.example/login?x=1',
  headers: { 'Content-Type': 'application/json', 'X-Origin': 'https://example.org' },
  body: '{"a":1}',
  address: '203.0.113.9',
  returnUrl: 'https://example.org/callback/x',
  here: 'london',
  country: 'FR',
  signature: {},
} as const satisfies RequestWritten

const lists = new Map([
  ['partners', [{ range: '198.51.100.0/24' }, { range: '192.0.2.1', expires: '2030-01-01T00:00:00Z' }]],
])

function outcomes(...expectations: Omit<Written, 'name'>[]): string[] {
  const expected = expectations.map((one, index) => ({ name: `case ${index}`, ...one }))
  return tryExpectations({ ...POLICY, expect: expected }, { lists, now: Date.UTC(2029, 0, 1) }).map(
    ({ holds, got }) => `${holds ? 'holds' : 'broken'}: ${got}`,
  )
}

describe('tryExpectations', () => {
  it.each<[what: string, request: RequestWritten, more: Omit<Written, 'name' | 'request'>, said: string]>([
    ['a request that every guard lets pass', GOOD, { effect: 'allow' }, 'holds: allow'],
    ['one that should not', GOOD, { effect: 'deny' }, 'broken: allow'],
    ['one of a list', { ...GOOD, address: '198.51.100.7' }, { effect: 'allow' }, 'holds: allow'],
    [
      'one of an entry that has not expired',
      { ...GOOD, address: '192.0.2.1' },
      { effect: 'allow' },
      'holds: allow',
    ],
    [
      'an address',
      { ...GOOD, address: '192.0.2.2' },
      { code: 'ADDRESS_NOT_ALLOWED' },
      'holds: ADDRESS_NOT_ALLOWED',
    ],
    [
      'an old signature',
      { ...GOOD, signature: { age: 301 } },
      { code: 'SIGNATURE_EXPIRED' },
      'holds: SIGNATURE_EXPIRED',
    ],
    [
      'one of the future',
      { ...GOOD, signature: { age: -301 } },
      { code: 'SIGNATURE_EXPIRED' },
      'holds: SIGNATURE_EXPIRED',
    ],
    ['one just old enough', { ...GOOD, signature: { age: 300 } }, { effect: 'allow' }, 'holds: allow'],
    [
      'no signature',
      { ...GOOD, signature: undefined },
      { code: 'SIGNATURE_REQUIRED' },
      'holds: SIGNATURE_REQUIRED',
    ],
    [
      'content that is not covered',
      { ...GOOD, signature: { digest: false } },
      { code: 'SIGNATURE_INVALID' },
      'holds: SIGNATURE_INVALID',
    ],
    [
      'a type that is not covered',
      { ...GOOD, signature: { contentType: false } },
      { code: 'SIGNATURE_INVALID' },
      'holds: SIGNATURE_INVALID',
    ],
    [
      'a browser',
      { ...GOOD, signature: undefined, headers: { origin: 'https://example.org' } },
      { code: 'BROWSER_NOT_ALLOWED' },
      'holds: BROWSER_NOT_ALLOWED',
    ],
    [
      'a page, where the guard of servers is not asked',
      { headers: { origin: 'https://example.org' } },
      { effect: 'allow', guards: ['domainProtect'] },
      'holds: allow',
    ],
    [
      'a return URL',
      { ...GOOD, returnUrl: 'https://evil.example/' },
      { effect: 'deny' },
      'holds: RETURN_URL_NOT_ALLOWED',
    ],
    [
      'no return URL',
      { ...GOOD, returnUrl: '' },
      { code: 'RETURN_URL_REQUIRED' },
      'holds: RETURN_URL_REQUIRED',
    ],
    [
      'none where none is needed',
      { ...GOOD, returnUrl: '', returnUrlOptional: true },
      { effect: 'allow' },
      'holds: allow',
    ],
    [
      'another region',
      { ...GOOD, country: ['US', 'CA'] },
      { code: 'REGION_MISDIRECTED' },
      'holds: REGION_MISDIRECTED',
    ],
    ['no country', { ...GOOD, country: undefined }, { code: 'REGION_UNKNOWN' }, 'holds: REGION_UNKNOWN'],
    [
      'a sink that fails',
      { ...GOOD, sinkFails: true },
      { code: 'AUDIT_UNAVAILABLE' },
      'holds: AUDIT_UNAVAILABLE',
    ],
    [
      'another code than the one that is expected',
      { ...GOOD, address: '192.0.2.2' },
      { code: 'ORIGIN_NOT_ALLOWED' },
      'broken: ADDRESS_NOT_ALLOWED',
    ],
    [
      'a guard that the request says nothing about',
      { address: '203.0.113.9' },
      { effect: 'deny', guards: ['regionPin'] },
      'broken: no answer',
    ],
  ])('judges %s', (_what, request, more, said) => {
    expect(outcomes({ request, ...more })).toEqual([said])
  })

  it('identifies one of several refusals by its code', () => {
    const request = { ...GOOD, address: '192.0.2.2', returnUrl: 'https://evil.example/' }
    expect(
      outcomes({ request, code: 'RETURN_URL_NOT_ALLOWED' }, { request, code: 'ADDRESS_NOT_ALLOWED' }),
    ).toEqual(['holds: RETURN_URL_NOT_ALLOWED', 'holds: ADDRESS_NOT_ALLOWED'])
  })

  it('reports which guard refused and why, and an unknown code', () => {
    const expected = [
      { name: 'no stranger', request: { ...GOOD, address: '192.0.2.2' }, code: 'ADRESS_NOT_ALLOWED' },
    ]
    expect(tryExpectations({ ...POLICY, expect: expected }, { lists })[0]?.reason).toBe(
      'ipWhitelist: the address is outside every range; there is no code ADRESS_NOT_ALLOWED: did you mean ADDRESS_NOT_ALLOWED?',
    )
  })

  it('treats a guard that only reports as one that lets pass', () => {
    const policy: PolicyInput = {
      ...POLICY,
      ipWhitelist: { mode: 'report' },
      expect: [{ name: 'anybody', request: { ...GOOD, address: '192.0.2.2' }, effect: 'allow' }],
    }
    expect(tryExpectations(policy).map(({ holds }) => holds)).toEqual([true])
  })

  it('does not count the refusal of a guard that only reports, even if its code is expected', () => {
    const request = { ...GOOD, address: '192.0.2.2' }
    const policy: PolicyInput = {
      ...POLICY,
      ipWhitelist: { mode: 'report' },
      expect: [{ name: 'no stranger', request, code: 'ADDRESS_NOT_ALLOWED' }],
    }
    expect(tryExpectations(policy).map(({ holds, got }) => [holds, got])).toEqual([[false, 'allow']])
  })

  it('does not guess the contents of a list', () => {
    const expected: Written[] = [{ name: 'x', request: GOOD, effect: 'allow' }]
    expect(() => tryExpectations({ ...POLICY, expect: expected })).toThrow(ConfigError)
    const other = expected.map((one) => ({ ...one, guards: ['serverOnly'] as const }))
    expect(tryExpectations({ ...POLICY, expect: other })[0]?.holds).toBe(true)
    expect(tryExpectations(POLICY)).toEqual([])
  })

  it('accepts the witness of a comparison, to prevent an earlier mistake', () => {
    const wider: PolicyInput = {
      ...POLICY,
      ipWhitelist: { mode, ranges: ['203.0.0.0/16'], lists: ['partners'] },
    }
    const { gained } = comparePolicies(POLICY, wider, { lists })
    const pinned = [
      { name: 'not the whole provider', request: gained!.request, guards: [gained!.guard], effect: 'deny' },
    ]
    const holds = (policy: object): boolean[] =>
      tryExpectations({ ...policy, expect: pinned }, { lists }).map((outcome) => outcome.holds)
    expect([holds(POLICY), holds(wider)]).toEqual([[true], [false]])
  })
})

describe('the expectations of a policy', () => {
  const parse = (...expected: unknown[]): readonly Expectation[] | undefined =>
    parsePolicy({ appId: 'a', expect: expected }).expect

  it('are stored with the defaults of their requests', () => {
    expect(parse({ name: 'x', request: {}, effect: 'deny' })).toEqual([
      { name: 'x', request: { url: 'https://gateway.example/' }, effect: 'deny' },
    ])
    const whole = { name: 'x', request: GOOD, guards: ['ipWhitelist'], code: 'ADDRESS_NOT_ALLOWED' }
    expect(parse(whole)).toEqual([whole])
    expect(Object.isFrozen(parse(whole)?.[0]?.request.headers)).toBe(true)
  })

  it.each<[expected: unknown, path: string, said: string]>([
    [{ request: {}, effect: 'deny' }, 'expect[0].name', 'is missing'],
    [{ name: 'x', effect: 'deny' }, 'expect[0].request', 'is missing'],
    [{ name: 'x', request: {} }, 'expect[0]', 'must have either `effect` or `code`'],
    [
      { name: 'x', request: {}, effect: 'deny', code: 'A' },
      'expect[0]',
      'must have either `effect` or `code`',
    ],
    [{ name: 'x', request: {}, effect: 'refuse' }, 'expect[0].effect', 'one of allow, deny'],
    [{ name: 'x', request: {}, code: 'not a code' }, 'expect[0].code', 'a code like ADDRESS_NOT_ALLOWED'],
    [
      { name: 'x', request: { adress: '1.2.3.4' }, effect: 'deny' },
      'expect[0].request.adress',
      'unknown key',
    ],
    [
      { name: 'x', request: { url: '/login' }, effect: 'deny' },
      'expect[0].request.url',
      'absolute http or https URL',
    ],
    [
      { name: 'x', request: { url: 'https://a b' }, effect: 'deny' },
      'expect[0].request.url',
      'absolute http or https URL',
    ],
    [
      { name: 'x', request: { url: 'https://a.example/#x' }, effect: 'deny' },
      'expect[0].request.url',
      'fragment',
    ],
    [
      { name: 'x', request: { url: 'https://u@a.example/' }, effect: 'deny' },
      'expect[0].request.url',
      'absolute http or https URL',
    ],
    [
      { name: 'x', request: { method: 'get' }, effect: 'deny' },
      'expect[0].request.method',
      'name of a method',
    ],
    [
      { name: 'x', request: { headers: { 'a b': '' } }, effect: 'deny' },
      'expect[0].request.headers.a b',
      'header',
    ],
    [
      { name: 'x', request: { headers: { a: 'x\ny' } }, effect: 'deny' },
      'expect[0].request.headers.a',
      'printable',
    ],
    [
      { name: 'x', request: { headers: { 'x-origin': 'a', 'X-Origin': 'b' } }, effect: 'deny' },
      'expect[0].request.headers.X-Origin',
      'must appear once',
    ],
    [
      { name: 'x', request: { country: 5 }, effect: 'deny' },
      'expect[0].request.country',
      'a string or an array',
    ],
    [
      { name: 'x', request: { signature: { age: 1.5 } }, effect: 'deny' },
      'expect[0].request.signature.age',
      'a whole number',
    ],
    [
      { name: 'x', request: {}, effect: 'deny', guards: ['ipWhitelst'] },
      'expect[0].guards[0]',
      'ipWhitelist',
    ],
    [{ name: 'x', request: {}, effect: 'deny', guards: [] }, 'expect[0].guards', 'at least 1'],
  ])('are refused such as %j', (expected, path, said) => {
    try {
      parse(expected)
    } catch (error) {
      const { issues } = error as PolicyError
      expect(issues.map((issue) => issue.path)).toEqual([path])
      expect(issues[0]?.message).toContain(said)
      return
    }
    throw new Error('was not refused')
  })

  it('are at most 100', () => {
    const some = Array.from({ length: 101 }, () => ({ name: 'x', request: {}, effect: 'deny' }))
    expect(parse(...some.slice(1))).toHaveLength(100)
    expect(() => parse(...some)).toThrow(PolicyError)
  })
})

describe('checkExpectations', () => {
  const expected: Written[] = [
    {
      name: 'the partner may call',
      request: { address: '198.51.100.7' },
      guards: ['ipWhitelist'],
      effect: 'allow',
    },
  ]

  it('reads lists from the target store', async () => {
    const store = memoryStore()
    const check = checkExpectations({ lists: (name) => store.readList(name) })
    const policy = { ...POLICY, expect: expected }
    await expect(store.write({ policy }, 0, {}, { check })).rejects.toThrow(ExpectationBroken)
    await store.writeList('partners', lists.get('partners') ?? [], 0)
    expect(await store.write({ policy }, 0, {}, { check })).toBe(1)
  })

  it('refuses if it cannot read them', async () => {
    const store = memoryStore()
    const policy = { ...POLICY, expect: expected }
    await expect(store.write({ policy }, 0, {}, { check: checkExpectations() })).rejects.toThrow(ConfigError)
    const fault = new Error('no connection')
    const check = checkExpectations({ lists: () => Promise.reject(fault) })
    await expect(store.write({ policy }, 0, {}, { check })).rejects.toBe(fault)
    expect(await store.read('a')).toBeUndefined()
  })

  it('names exactly the failing cases', async () => {
    const broken = [
      ...expected,
      { ...expected[0]!, name: 'another', code: 'OPTION_FAILED', effect: undefined },
    ]
    const policy = { ...POLICY, ipWhitelist: { mode, ranges: [] }, expect: broken }
    const error: unknown = await memoryStore()
      .write({ policy }, 0, {}, { check: checkExpectations() })
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
    expect((error as ExpectationBroken).failures).toEqual([
      {
        name: 'the partner may call',
        expected: 'allow',
        got: 'ADDRESS_NOT_ALLOWED',
        reason: 'ipWhitelist: the allow list is empty, so it admits no address',
        request: { url: 'https://gateway.example/', address: '198.51.100.7' },
      },
      expect.objectContaining({ name: 'another', expected: 'OPTION_FAILED', got: 'ADDRESS_NOT_ALLOWED' }),
    ])
    expect((error as Error).message).toBe(
      'the policy of app `a` does not meet its expectations: "the partner may call" expects allow, got ADDRESS_NOT_ALLOWED' +
        ' (ipWhitelist: the allow list is empty, so it admits no address); "another" expects OPTION_FAILED, got' +
        ' ADDRESS_NOT_ALLOWED (ipWhitelist: the allow list is empty, so it admits no address)',
    )
  })

  it('refuses unknown options', () => {
    expect(() => checkExpectations({ list: () => undefined } as object)).toThrow(ConfigError)
  })
})
