import { describe, expect, it } from '@jest/globals'
import { explain, PolicyError, type AppKey } from 'portcullis'
import { signRequest } from 'portcullis/client'

const KEY: AppKey = { id: 'k', algorithm: 'hmac-sha256', secret: Buffer.alloc(32, 7).toString('base64') }
const POLICY = {
  appId: 'a',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'report', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}
const URL = 'https://gateway.example/auth/connect?x=1'

describe('explain', () => {
  it('reports what each guard found for a good request, in the order of protect', async () => {
    const request = { method: 'POST', url: URL, body: '{}', headers: { 'x-origin': 'https://example.org' } }
    const headers = await signRequest(request, { keyId: 'k', secret: KEY.secret })
    const { passes, decisions } = explain(POLICY, {
      ...request,
      headers,
      address: '203.0.113.9',
      returnUrl: 'https://example.org/callback/x',
      here: 'london',
      country: 'FR',
      keys: [KEY],
    })
    expect(passes).toBe(true)
    expect(decisions.map(({ guard, code }) => [guard, code])).toEqual([
      ['auditAccess', 'ALLOWED'],
      ['regionPin', 'ALLOWED'],
      ['ipWhitelist', 'ALLOWED'],
      ['domainProtect', 'ALLOWED'],
      ['serverOnly', 'ALLOWED'],
      ['returnUrlGuard', 'ALLOWED'],
    ])
    expect(decisions[2]?.evidence).toEqual({ entry: '203.0.113.0/24', source: 'req.ip' })
  })

  it('reports why a request is refused, guard by guard, and what report mode lets pass', () => {
    const { passes, decisions } = explain(POLICY, {
      url: URL,
      headers: { Origin: 'https://evil.example' },
      address: '198.51.100.1',
      returnUrl: 'https://example.org/callback/../admin',
      here: 'dallas',
      country: 'FR',
    })
    expect(passes).toBe(false)
    expect(decisions.map(({ code, detail }) => `${code}: ${detail}`)).toEqual([
      'ALLOWED: recorded',
      'REGION_MISDIRECTED: the data of this person must stay in another jurisdiction',
      'ADDRESS_NOT_ALLOWED: the address is outside every range',
      'ORIGIN_NOT_ALLOWED: `Origin` matches no domain',
      'BROWSER_NOT_ALLOWED: the headers show that a browser sent the request',
      'RETURN_URL_NOT_ALLOWED: the URL was refused: it contains a dot segment (`.` or `..`)',
    ])
  })

  it('lets pass what only report mode refuses', () => {
    const policy = {
      appId: 'a',
      auditAccess: { mode: 'off' },
      ipWhitelist: { mode: 'report' },
      domainProtect: { mode: 'off' },
      serverOnly: { mode: 'off' },
    }
    const { passes, decisions } = explain(policy, { url: URL, address: '198.51.100.1' })
    expect(passes).toBe(true)
    expect(decisions.map(({ effect }) => effect)).toEqual(['allow', 'deny', 'allow', 'allow'])
  })

  const RETURN_URLS = {
    ...POLICY,
    returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
  }
  const compare = (request: object) => explain(RETURN_URLS, { url: URL, ...request }).comparisons

  it('compares values with the nearest entries', () => {
    const comparisons = compare({
      headers: { 'x-origin': 'HTTPS://Example.org:8443' },
      address: '::ffff:203.0.114.9',
      returnUrl: 'HTTPS://Example.ORG:8443/callback/%c3%a4',
    })
    expect(comparisons).toEqual([
      {
        guard: 'ipWhitelist',
        input: 'address',
        canonical: '203.0.114.9',
        entries: 1,
        nearest: [
          {
            entry: '203.0.113.0/24',
            differsIn: ['network'],
            text: 'differs in network: 22 of the 24 bits of the entry are the same',
          },
        ],
      },
      {
        guard: 'domainProtect',
        input: 'X-Origin',
        canonical: 'https://example.org:8443',
        entries: 1,
        nearest: [
          {
            entry: 'https://example.org',
            differsIn: ['port'],
            text: 'differs in port: `8443`, the entry has `443`',
          },
        ],
      },
      {
        guard: 'returnUrlGuard',
        input: 'return URL',
        canonical: 'https://example.org:8443/callback/%C3%A4',
        entries: 1,
        nearest: [
          {
            entry: 'https://example.org/callback/',
            differsIn: ['port'],
            text: 'differs in port: `8443`, the entry has `443`',
          },
        ],
      },
    ])
  })

  const refused: [object, string, string | undefined][] = [
    [{ returnUrl: 'https://example.org/callback/../admin' }, 'dot segment', 'https://example.org/admin'],
    [{ returnUrl: 'https:example.org/callback/' }, 'not absolute', 'https://example.org/callback/'],
    [{ returnUrl: 'https://example.org\\@evil.example/' }, 'backslash', 'https://example.org/@evil.example/'],
    [{ returnUrl: ' https://example.org/callback/' }, 'character', 'https://example.org/callback/'],
    [{ returnUrl: 'nowhere' }, 'not absolute', undefined],
    [
      { returnUrl: '//evil.example/', relativeTo: 'https://gateway.example' },
      'not absolute',
      'https://evil.example/',
    ],
    [
      { returnUrl: 'https://example.org/callback/?Code=1', reserved: ['code'] },
      'reserved parameter',
      'https://example.org/callback/?Code=1',
    ],
    [{ returnUrl: 7 }, 'not a string', undefined],
    [{ returnUrl: `https://example.org/${'x'.repeat(1_000_000)}` }, 'too long', undefined],
    [{ headers: { origin: 'https://EXAMPLE.org' } }, 'not a serialised origin', 'https://example.org'],
    [{ headers: { origin: 'https://example.org/' } }, 'not a serialised origin', 'https://example.org'],
    [{ headers: { 'x-origin': 'example.org' } }, 'not a serialised origin', undefined],
  ]
  it.each(refused)(
    'says why %j was refused, and how a browser would read it',
    (request, problem, parsedAs) => {
      expect(compare(request)).toEqual([
        expect.objectContaining({ problem, parsedAs, nearest: [], entries: 1 }),
      ])
    },
  )

  it('resolves a path against an origin if configured, as the guard does', () => {
    const request = { url: URL, returnUrl: '/callback/x', relativeTo: 'https://example.org' }
    const { decisions, comparisons } = explain(RETURN_URLS, request)
    expect(decisions.at(-1)).toMatchObject({
      code: 'ALLOWED',
      evidence: { entry: 'https://example.org/callback/' },
    })
    expect(comparisons).toMatchObject([
      { canonical: 'https://example.org/callback/x', nearest: [{ differsIn: [], text: 'matches' }] },
    ])
  })

  it('makes no comparison for missing values or missing lists', () => {
    expect(compare({})).toEqual([])
    expect(compare({ returnUrl: '' })).toEqual([])
    const { comparisons } = explain(
      { appId: 'a' },
      { url: URL, address: '203.0.113.1', returnUrl: 'https://example.org/' },
    )
    expect(comparisons).toEqual([])
  })

  it('is short with 10,000 entries, and says how many there are', () => {
    const urls = Array.from({ length: 10_000 }, (_, index) => `https://app-${index}.example/callback/`)
    const policy = { appId: 'a', returnUrlGuard: { mode: 'enforce', urls } }
    const [comparison] = explain(policy, {
      url: URL,
      returnUrl: 'http://app-77.example/callback/',
    }).comparisons
    expect(comparison).toMatchObject({
      entries: 10_000,
      nearest: [{ entry: 'https://app-77.example/callback/' }, {}, {}],
    })
    expect(comparison?.nearest).toHaveLength(3)
  })

  it('refuses an invalid document', () => {
    expect(() => explain({ appId: 'a', x: 1 }, { url: URL })).toThrow(PolicyError)
  })

  it('refuses two headers whose names differ only in case, signed or not: a server would see both', () => {
    const headers = { origin: 'https://evil.example', Origin: 'https://example.org' }
    for (const more of [{}, { signature: {} }])
      expect(() => explain({ appId: 'a' }, { url: URL, headers, ...more })).toThrow(
        '`headers` must be a record with each name once, in upper or lower case, got "Origin"',
      )
  })

  it.each<[what: string, section: object, passes: boolean]>([
    ['a range alone', { ranges: ['203.0.113.0/24'] }, true],
    ['a named list alone, which admits nobody without a store', { lists: ['office'] }, false],
    ['a range beside a named list', { ranges: ['203.0.113.0/24'], lists: ['office'] }, true],
    ['a range in `deny` too, which wins', { ranges: ['203.0.113.0/24'], deny: ['203.0.113.9'] }, false],
    [
      'a denying list, which refuses everybody without a store',
      { ranges: ['203.0.113.0/24'], denyLists: ['bad'] },
      false,
    ],
  ])('judges an address by %s', (_what, section, passes) => {
    const policy = { appId: 'a', ipWhitelist: { mode: 'enforce', ...section } }
    const { decisions } = explain(policy, { url: URL, address: '203.0.113.9', now: 0 })
    expect(decisions.find(({ guard }) => guard === 'ipWhitelist')?.effect).toBe(passes ? 'allow' : 'deny')
  })

  it('admits a return URL with encoded slashes if an exact entry is equal, and says so', () => {
    const exact = 'msauth://package/2pwh%2FAb%3D'
    const policy = { appId: 'a', returnUrlGuard: { mode: 'enforce', urls: [{ exact }] } }
    const judged = (returnUrl: string) => explain(policy, { url: URL, returnUrl, now: 0 })
    const decided = (returnUrl: string) =>
      judged(returnUrl).decisions.find(({ guard }) => guard === 'returnUrlGuard')
    expect(decided(exact)).toMatchObject({ effect: 'allow', evidence: { entry: exact } })
    expect(judged(exact).comparisons[0]?.nearest[0]?.text).toBe('matches')
    expect(decided('msauth://package/2pwh%2fAb%3D')).toMatchObject({
      code: 'RETURN_URL_NOT_ALLOWED',
      evidence: { reason: 'encoded separator' },
    })
  })
})
