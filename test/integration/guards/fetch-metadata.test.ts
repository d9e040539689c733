import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createPolicySource, domainProtect, memoryStore, type Decision, type PolicySource } from 'portcullis'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const OWN = 'http://gateway.example'
const DOMAINS = [
  OWN,
  'http://gateway.example:8080',
  'https://gateway.example',
  'https://example.org',
  'chrome-extension://abcdefghijklmnop',
  'null',
]

/** The result of a request with these headers, and the `case` of its decision. */
async function judged(
  headers: Record<string, string>,
  {
    domains = DOMAINS,
    method = 'post',
    told = [],
  }: { domains?: string[]; method?: 'get' | 'post'; told?: unknown[] } = {},
): Promise<string> {
  let decision: Decision | undefined
  const { app, reached } = protectedApp(
    { domainProtect: { mode: 'enforce', domains } },
    (policies: PolicySource) => [
      domainProtect({
        policies,
        onDeny: (refusal, _req, res) => {
          decision = refusal
          res.statusCode = 403
          res.end()
        },
      }),
    ],
    (req, res) => {
      decision = req.portcullis.decisions[0]
      res.end()
    },
  )
  const sent = { 'x-app-id': APP, host: 'gateway.example', ...headers }
  const response = await request(app)[method]('/').set(sent)
  told.push(decision?.evidence['fetchSite'])
  expect(reached.length).toBe(response.status === 200 ? 1 : 0)
  return `${decision?.code === 'ALLOWED' ? 'admitted' : decision?.code}: ${String(decision?.evidence['case'])}`
}

describe('the three cases without a usable Origin', () => {
  const cases: [string, Record<string, string>, string][] = [
    ['absent', {}, 'ORIGIN_REQUIRED: absent'],
    ['null', { origin: 'null' }, 'ORIGIN_NOT_ALLOWED: opaque'],
    ['invalid', { origin: 'https://example.org/' }, 'ORIGIN_NOT_ALLOWED: invalid'],
    ['invalid: another spelling', { origin: 'https://EXAMPLE.org' }, 'ORIGIN_NOT_ALLOWED: invalid'],
    [
      'invalid: an explicit default port',
      { origin: 'https://example.org:443' },
      'ORIGIN_NOT_ALLOWED: invalid',
    ],
    ['invalid: empty', { origin: '' }, 'ORIGIN_NOT_ALLOWED: invalid'],
    ['invalid: null in other letters', { origin: 'NULL' }, 'ORIGIN_NOT_ALLOWED: invalid'],
    ['invalid: a wildcard', { origin: '*' }, 'ORIGIN_NOT_ALLOWED: invalid'],
    [
      'invalid: a list',
      { origin: 'https://example.org, https://example.org' },
      'ORIGIN_NOT_ALLOWED: invalid',
    ],
    [
      'invalid: a list with spaces',
      { origin: 'https://a.example https://example.org' },
      'ORIGIN_NOT_ALLOWED: invalid',
    ],
  ]
  for (const [what, headers, outcome] of cases) {
    it(`${what} gives ${outcome}, regardless of X-Origin`, async () => {
      const domains = ['https://example.org']
      expect(await judged(headers, { domains })).toBe(outcome)
      if (headers['origin'] === undefined) return
      expect(await judged({ ...headers, 'x-origin': 'https://example.org' }, { domains })).toMatch(
        /^ORIGIN_NOT_ALLOWED: (invalid|contradiction)$/,
      )
    })
  }

  it('two header lines are invalid, whether they differ or not', async () => {
    const { app, reached } = protectedApp(
      { domainProtect: { mode: 'enforce', domains: DOMAINS } },
      (policies) => [domainProtect({ policies })],
    )
    await listening(app, async (origin) => {
      for (const second of ['https://example.org', 'https://evil.example', 'null', '']) {
        const answer = await exchange(
          Number(new URL(origin).port),
          `GET / HTTP/1.1\r\nHost: gateway.example\r\nX-App-Id: ${APP}\r\nOrigin: https://example.org\r\nOrigin: ${second}\r\nConnection: close\r\n\r\n`,
        )
        expect(answer).toMatch(/^HTTP\/1\.1 403 /)
        expect(answer).not.toMatch(/^access-control/im)
      }
    })
    expect(reached).toEqual([])
  })
})

/** Headers that browsers really send, some of them observed in `test/browser/domain-protect.test.ts`. */
const rightful: [string, Record<string, string>, string, { domains?: string[]; method?: 'get' }?][] = [
  ['a page of another site', { origin: 'https://example.org', 'sec-fetch-site': 'cross-site' }, 'browser'],
  [
    'a page of another port',
    { origin: 'http://gateway.example:8080', 'sec-fetch-site': 'same-site' },
    'browser',
  ],
  ['a page without Fetch Metadata', { origin: 'https://example.org' }, 'browser'],
  ['the own page', { origin: OWN, 'sec-fetch-site': 'same-origin' }, 'browser'],
  ['the own page, by a reload of its form', { origin: OWN, 'sec-fetch-site': 'none' }, 'browser'],
  [
    'the own page behind a proxy that ends TLS',
    { origin: 'https://gateway.example', 'sec-fetch-site': 'same-origin' },
    'browser',
  ],
  [
    'the own page behind a proxy that drops the port',
    { origin: 'http://gateway.example:8080', 'sec-fetch-site': 'same-origin' },
    'browser',
  ],
  [
    'the own page behind a proxy that names another host',
    {
      host: 'backend:3000',
      via: '1.1 edge',
      origin: 'https://gateway.example',
      'sec-fetch-site': 'same-origin',
    },
    'browser',
  ],
  [
    'an http page of the host of a proxy that ends TLS',
    { 'x-forwarded-proto': 'https', origin: OWN, 'sec-fetch-site': 'cross-site' },
    'browser',
  ],
  [
    'a page of the default port, called by another one that a proxy drops',
    { 'x-forwarded-for': '192.0.2.1', origin: OWN, 'sec-fetch-site': 'same-site' },
    'browser',
  ],
  [
    'an extension with rights on this host',
    { origin: 'chrome-extension://abcdefghijklmnop', 'sec-fetch-site': 'none' },
    'browser',
  ],
  ['an opaque origin where it is written', { origin: 'null', 'sec-fetch-site': 'cross-site' }, 'opaque'],
  [
    'the own form under the referrer policy no-referrer, where null is written',
    { origin: 'null', 'sec-fetch-site': 'same-origin' },
    'opaque',
  ],
  [
    'a same-origin GET',
    { 'sec-fetch-site': 'same-origin' },
    'same-origin',
    { method: 'get', domains: [OWN] },
  ],
  [
    'a same-origin GET behind a proxy that ends TLS',
    { 'sec-fetch-site': 'same-origin' },
    'same-origin',
    { method: 'get', domains: ['https://gateway.example'] },
  ],
  [
    'a same-origin GET behind such a proxy, on another port',
    { host: 'gateway.example:8443', 'sec-fetch-site': 'same-origin' },
    'same-origin',
    { method: 'get', domains: ['https://gateway.example:8443'] },
  ],
]

/**
 * Headers that do not match the called host. A proxy that rewrites `Host` without a hint looks the same, so this is
 * only noted in the evidence.
 */
const rewritten: [string, Record<string, string>][] = [
  ['same-origin from another host', { origin: 'https://example.org', 'sec-fetch-site': 'same-origin' }],
  [
    'same-origin from an extension',
    { origin: 'chrome-extension://abcdefghijklmnop', 'sec-fetch-site': 'same-origin' },
  ],
  ['cross-site from the own origin', { origin: OWN, 'sec-fetch-site': 'cross-site' }],
  ['same-site from the own origin', { origin: OWN, 'sec-fetch-site': 'same-site' }],
]

/** Headers that no browser sends. */
const contradictory: [string, Record<string, string>][] = [
  ['a page, though none', { origin: 'https://example.org', 'sec-fetch-site': 'none' }],
  ['an unknown value', { origin: 'https://example.org', 'sec-fetch-site': 'cross-origin' }],
  ['an empty value', { origin: 'https://example.org', 'sec-fetch-site': '' }],
  ['another spelling', { origin: 'https://example.org', 'sec-fetch-site': 'Cross-Site' }],
  ['two values', { origin: 'https://example.org', 'sec-fetch-site': 'cross-site, same-origin' }],
  ['a parameter', { origin: 'https://example.org', 'sec-fetch-site': 'cross-site;x=1' }],
  ['an unknown value of an opaque origin', { origin: 'null', 'sec-fetch-site': 'opaque' }],
  ['X-Origin with another domain', { origin: 'https://example.org', 'x-origin': OWN }],
  ['X-Origin with a stranger', { origin: 'https://example.org', 'x-origin': 'https://evil.example' }],
  ['an unreadable X-Origin', { origin: 'https://example.org', 'x-origin': 'example.org' }],
  ['an empty X-Origin', { origin: 'https://example.org', 'x-origin': '' }],
  ['an opaque X-Origin', { origin: 'https://example.org', 'x-origin': 'null' }],
]

describe('Fetch Metadata and X-Origin compared with Origin', () => {
  for (const [what, headers, label, options] of rightful) {
    it(`lets pass ${what}`, async () => {
      expect(await judged(headers, options)).toBe(`admitted: ${label}`)
    })
  }

  for (const [what, headers] of rewritten) {
    it(`lets pass, with a note in the evidence: ${what}`, async () => {
      const told: unknown[] = []
      expect(await judged(headers, { told })).toBe('admitted: browser')
      expect(told).toEqual([headers['sec-fetch-site']])
    })
  }

  it('writes no note if the site matches the called host', async () => {
    const told: unknown[] = []
    await judged({ origin: 'https://example.org', 'sec-fetch-site': 'cross-site' }, { told })
    expect(told).toEqual([undefined])
  })

  for (const [what, headers] of contradictory) {
    it(`refuses as a contradiction: ${what}`, async () => {
      expect(await judged(headers)).toBe('ORIGIN_NOT_ALLOWED: contradiction')
    })
  }

  const withoutOrigin: [string, Record<string, string>, string[]][] = [
    [
      'same-origin, when the own origin is no domain',
      { 'sec-fetch-site': 'same-origin' },
      ['https://example.org'],
    ],
    [
      'same-origin over http on loopback, when only https is a domain',
      { host: 'localhost:3000', 'sec-fetch-site': 'same-origin' },
      ['https://localhost:3000'],
    ],
    ['two values', { 'sec-fetch-site': 'same-origin, same-origin' }, [OWN]],
    ['cross-site', { 'sec-fetch-site': 'cross-site', 'x-origin': OWN }, [OWN]],
    ['a navigation of the person', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, [OWN]],
  ]
  for (const [what, headers, domains] of withoutOrigin) {
    it(`refuses a browser without Origin: ${what}`, async () => {
      expect(await judged(headers, { domains, method: 'get' })).toMatch(/^ORIGIN_REQUIRED: /)
    })
  }

  it('is recorded in report mode, and changes nothing', async () => {
    const store = memoryStore([
      { policy: { appId: APP, domainProtect: { mode: 'report', domains: DOMAINS } } },
    ])
    const reported: string[] = []
    const guard = domainProtect({
      policies: createPolicySource({ store }),
      onReport: ({ code, evidence }) => reported.push(`${code} ${evidence['case']}`),
    })
    await listening(
      (req, res) => guard(req, res, () => res.end('passed')),
      async (origin) => {
        const headers = { 'x-app-id': APP, origin: 'https://example.org', 'x-origin': OWN }
        const response = await request(origin).get('/').set(headers)
        expect([response.text, response.headers['vary']]).toEqual(['passed', undefined])
      },
    )
    expect(reported).toEqual(['ORIGIN_NOT_ALLOWED contradiction'])
  })
})

describe('own pages in a browser that sends neither Origin nor Fetch Metadata', () => {
  /** The status for a GET of a page, with or without the option for `Referer`. */
  async function status(
    headers: Record<string, string>,
    {
      referer = true,
      domains = [OWN],
      server = 'claim',
    }: { referer?: boolean; domains?: string[]; server?: 'claim' | 'none' | 'signed' },
  ): Promise<number> {
    const { app } = protectedApp({ domainProtect: { mode: 'enforce', domains, server } }, (policies) => [
      domainProtect({ policies, referer }),
    ])
    return listening(app, async (origin) => {
      const asked = await request(origin)
        .get('/')
        .set({ 'x-app-id': APP, host: 'gateway.example', ...headers })
      return asked.status
    })
  }
  const page = { referer: `${OWN}/account?a=1` }
  const rows: readonly (readonly [string, Record<string, string>, Parameters<typeof status>[1], number])[] = [
    ['are admitted by `Referer` where the option says so', page, {}, 200],
    ['are refused without the option', page, { referer: false }, 403],
    ['are admitted behind a proxy that ends TLS', { referer: 'https://gateway.example/' }, { domains: ['https://gateway.example'] }, 200],
    ['are refused when the origin of the service is no domain', page, { domains: ['https://example.org'] }, 403],
    ['are refused when they hide their URL', {}, {}, 403],
    ['are no pages of other origins, listed or not', { referer: 'https://example.org/' }, { domains: [OWN, 'https://example.org'] }, 403],
    ['are no pages of another port', { referer: 'http://gateway.example:8080/' }, { domains: DOMAINS }, 403],
    ['are no text that holds the own origin', { referer: `https://evil.example/${OWN}/` }, {}, 403],
    ['are no URL that a user name begins', { referer: 'http://gateway.example@evil.example/' }, {}, 403],
    ['are no text that is no URL', { referer: 'gateway.example' }, {}, 403],
    ['are not admitted by `Referer` where the policy wants a signature', page, { server: 'signed' }, 403],
    ['are judged by `X-Origin` where it is sent', { ...page, 'x-origin': 'https://evil.example' }, {}, 403],
    ['are judged by `Origin` where it is sent', { ...page, origin: 'https://evil.example' }, {}, 403],
    ['are judged by Fetch Metadata where it is sent', { ...page, 'sec-fetch-site': 'cross-site' }, {}, 403],
  ] // prettier-ignore
  it.each(rows)('%s', async (_what, headers, options, expected) => {
    expect(await status(headers, options)).toBe(expected)
  })

  it('are not admitted by two `Referer` lines', async () => {
    const { app } = protectedApp({ domainProtect: { mode: 'enforce', domains: [OWN] } }, (policies) => [
      domainProtect({ policies, referer: true }),
    ])
    await listening(app, async (_origin, server) => {
      const { port } = server.address() as { port: number }
      const lines = [`X-App-Id: ${APP}`, 'Host: gateway.example', `Referer: ${OWN}/`, 'Connection: close']
      const ask = (more: string[]) =>
        exchange(port, `${['GET / HTTP/1.1', ...lines, ...more].join('\r\n')}\r\n\r\n`)
      expect(await ask([])).toMatch(/^HTTP\/1\.1 200 /)
      expect(await ask([`Referer: ${OWN}/`])).toMatch(/^HTTP\/1\.1 403 /)
    })
  })
})
