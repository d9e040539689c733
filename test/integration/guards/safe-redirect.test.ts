import { createServer } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import type { ErrorRequestHandler, Express } from 'express'
import {
  auditAccess,
  bodyParsers,
  ConfigError,
  UsageError,
  createPolicySource,
  memoryAuditSink,
  memoryStore,
  returnUrlGuard,
  safeRedirect,
  type GuardRequest,
  type GuardResponse,
  type PolicySource,
} from 'portcullis'
import type { SafeRedirectOptions } from '../../../src/http/response/safe-redirect.ts'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const CALLBACK = 'https://example.org/callback/'
const EVIL = 'https://evil.example/'
const URLS = [
  CALLBACK,
  'com.example.app:/callback',
  'http://127.0.0.1:*/callback',
  { exact: 'https://example.org/done?a=1' },
]
const sectionsIn = (mode: string): object => ({
  returnUrlGuard: { mode, urls: URLS },
  auditAccess: { mode: 'enforce' },
})

/** Redirects after the guard, and answers 500 with the error if it cannot. */
function redirecting(
  mode = 'enforce',
  options: SafeRedirectOptions = {},
  ahead: (policies: PolicySource) => unknown[] = () => [],
): Express {
  const places = [
    { query: 'return_url', optional: true },
    { query: 'cancel_url', optional: true },
  ]
  const { app } = protectedApp(
    sectionsIn(mode),
    (policies) => [...ahead(policies), returnUrlGuard({ policies, returnUrl: places })],
    (req, res) => safeRedirect(res, req, options),
  )
  const onError: ErrorRequestHandler = (error: Error, _req, res, _next) =>
    void res.status(500).send(`${error.name}: ${error.message}`)
  return app.use(onError)
}

/** The sent answer: the head without its date, and the body. */
async function sent(app: Express, target: string, method = 'GET'): Promise<[head: string[], body: string]> {
  const request = `${method} ${target} HTTP/1.1\r\nHost: x\r\nx-app-id: ${APP}\r\nConnection: close\r\n\r\n`
  const text = await listening(app, (origin) => exchange(Number(new URL(origin).port), request))
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return [head.split('\r\n').filter((line) => !/^(Date|X-Powered-By|ETag|Content-Type):/i.test(line)), body]
}

const query = (url: string, name = 'return_url') => `${name}=${encodeURIComponent(url)}`

async function location(
  url: string,
  options?: SafeRedirectOptions,
  mode?: string,
): Promise<string | undefined> {
  const [head, body] = await sent(redirecting(mode, options), `/?${query(url)}`)
  return head.find((line) => line.startsWith('Location: '))?.slice(10) ?? body
}

describe('safeRedirect', () => {
  it.each(['GET', 'HEAD', 'POST'])(
    'answers %s with 303, without caching, referrer or body',
    async (method) => {
      expect(await sent(redirecting(), `/?${query(`${CALLBACK}x?y=1`)}`, method)).toEqual([
        [
          'HTTP/1.1 303 See Other',
          `Location: ${CALLBACK}x?y=1`,
          'Cache-Control: no-store',
          'Referrer-Policy: no-referrer',
          'Content-Length: 0',
          'Connection: close',
        ],
        '',
      ])
    },
  )

  const kept: [string, string][] = [
    ['HTTPS://EXAMPLE.ORG:443/callback/%c3%a9', `${CALLBACK}%C3%A9`],
    // Express would write each of these differently, because it decodes, encodes or parses them.
    [`${CALLBACK}%20%25?a=%20+%2B`, `${CALLBACK}%20%25?a=%20+%2B`],
    [`${CALLBACK}a;b=c,d/~x?q=[1]&r=|3^`, `${CALLBACK}a;b=c,d/~x?q=[1]&r=|3^`],
    ['com.example.app:/callback?x=1', 'com.example.app:/callback?x=1'],
    ['http://127.0.0.1:51004/callback', 'http://127.0.0.1:51004/callback'],
    ['https://example.org/done?a=1', 'https://example.org/done?a=1'],
  ]
  it.each(kept)('sends %s to its canonical form, byte for byte', async (url, canonical) => {
    expect(await location(url)).toBe(canonical)
  })

  it.each([
    EVIL,
    '//evil.example',
    'javascript:alert(1)',
    `${CALLBACK}../x`,
    `${CALLBACK}\r\nSet-Cookie: a=b`,
    `${EVIL}\\@example.org/callback/`,
  ])('never goes to %j', async (url) => {
    const [head, body] = await sent(redirecting(), `/?${query(url)}`)
    expect(head[0]).toBe('HTTP/1.1 400 Bad Request')
    expect(head.join() + body).not.toMatch(/location|evil|set-cookie/i)
  })

  const added: [string, Record<string, string | undefined>, string][] = [
    [`${CALLBACK}x`, { code: 'c', state: 's' }, `${CALLBACK}x?code=c&state=s`],
    [`${CALLBACK}?a=1`, { code: 'c' }, `${CALLBACK}?a=1&code=c`],
    [`${CALLBACK}?`, { code: 'c' }, `${CALLBACK}?code=c`],
    [`${CALLBACK}?a=1&`, { code: 'c' }, `${CALLBACK}?a=1&code=c`],
    [`${CALLBACK}?codes=1&x[code]=2`, { code: 'c' }, `${CALLBACK}?codes=1&x[code]=2&code=c`],
    [CALLBACK, { code: undefined, state: undefined }, CALLBACK],
    [CALLBACK, {}, CALLBACK],
    [CALLBACK, { state: '' }, `${CALLBACK}?state=`],
    [CALLBACK, { '_ukey1[code]': 'a b+c' }, `${CALLBACK}?_ukey1%5Bcode%5D=a%20b%2Bc`],
    [
      CALLBACK,
      { state: '&code=x#?/\\\r\n"\'<>()*!~\u00e4\u{1F600}' },
      `${CALLBACK}?state=%26code%3Dx%23%3F%2F%5C%0D%0A%22%27%3C%3E%28%29%2A%21~%C3%A4%F0%9F%98%80`,
    ],
    ['com.example.app:/callback', { code: 'c' }, 'com.example.app:/callback?code=c'],
  ]
  it.each(added)('adds the parameters to %s: %j', async (url, parameters, expected) => {
    const text = await location(url, { parameters })
    expect(text).toBe(expected)
    const parsed = new URL(text ?? '')
    // A parser does not change it, and finds the added parameters.
    expect(parsed.href).toBe(text)
    for (const [name, value] of Object.entries(parameters))
      expect(parsed.searchParams.get(name)).toBe(value ?? null)
  })

  it.each(['?code=x', '?CODE=x', '?c%6fde', '?code[]=x', '?[code]=x', '?a&code[0]=x'])(
    'does not add a parameter that the URL already has: %s',
    async (given) => {
      expect(await location(`${CALLBACK}${given}`, { parameters: { code: 'c' } })).toBe(
        'UsageError: the return URL already has the parameter "code": name it in the `reserved` option of `returnUrlGuard`',
      )
    },
  )

  it('goes to the named URL, and by default to the first one', async () => {
    const target = `/?${query(`${CALLBACK}2`, 'cancel_url')}&${query(`${CALLBACK}1`)}`
    const go = async (to?: string) =>
      (await sent(redirecting('enforce', { to }), target))
        .flat()
        .find((line) => /^(?:Location|UsageError)/.test(line))
    expect(await go()).toBe(`Location: ${CALLBACK}1`)
    expect(await go('return_url')).toBe(`Location: ${CALLBACK}1`)
    expect(await go('cancel_url')).toBe(`Location: ${CALLBACK}2`)
    for (const name of ['other', '', '__proto__', 'toString'])
      expect(await go(name)).toBe(
        `UsageError: \`returnUrlGuard\` found no usable return URL named "${name}" in this request: answer it without a redirect`,
      )
  })

  it('throws if the request named none', async () => {
    expect(await sent(redirecting(), '/')).toEqual([
      expect.arrayContaining(['HTTP/1.1 500 Internal Server Error']),
      'UsageError: `returnUrlGuard` found no usable return URL in this request: answer it without a redirect',
    ])
    const unguarded = protectedApp(
      {},
      () => [bodyParsers()],
      (req, res) => {
        expect(() => safeRedirect(res, req)).toThrow(
          'no `returnUrlGuard` before this handler admitted a return URL: mount the guard, or answer without a redirect',
        )
        res.end()
      },
    ).app
    expect((await sent(unguarded, '/'))[0]).toContain('HTTP/1.1 200 OK')
  })

  it.each(['report', 'off'])(
    'goes to any well-formed URL in mode %s, as the guard lets it pass',
    async (mode) => {
      expect(await location(EVIL, {}, mode)).toBe(EVIL)
      expect(await location('javascript:alert(1)', {}, mode)).toMatch(/^UsageError/)
      expect(await location(`${EVIL}\r\nX: y`, {}, mode)).toMatch(/^UsageError/)
    },
  )

  it('throws, and writes nothing, without a guard or with a forged context', () => {
    const request = {} as GuardRequest
    const forged = {
      portcullis: { returnUrl: EVIL, returnUrls: { returnUrl: EVIL } },
    } as unknown as GuardRequest
    const response = Object.freeze({}) as GuardResponse // a write to it is a TypeError
    for (const req of [request, forged]) expect(() => safeRedirect(response, req)).toThrow(UsageError)
  })

  it('ignores changes that a handler makes to the context', async () => {
    const { app } = protectedApp(
      sectionsIn('enforce'),
      (policies) => [returnUrlGuard({ policies, returnUrl: { query: 'return_url' } })],
      (req, res) => {
        const context = req.portcullis as unknown as { returnUrl: string; returnUrls: Record<string, string> }
        expect(() => (context.returnUrl = EVIL)).toThrow(TypeError)
        expect(() => (context.returnUrls = {})).toThrow(TypeError)
        expect(() => (context.returnUrls['return_url'] = EVIL)).toThrow(TypeError)
        safeRedirect(res, req)
      },
    )
    expect((await sent(app, `/?${query(CALLBACK)}`))[0]).toContain(`Location: ${CALLBACK}`)
  })

  it('works on plain node:http', async () => {
    const policies = createPolicySource({
      store: memoryStore([{ policy: { appId: APP, ...sectionsIn('enforce') } }]),
    })
    const guard = returnUrlGuard({ policies, returnUrl: { query: 'return_url' } })
    const server = createServer((req: GuardRequest, res) =>
      guard(req, res, () => safeRedirect(res, req, { parameters: { code: 'c' } })),
    )
    const text = await listening(
      (req, res) => void server.emit('request', req, res),
      (origin) =>
        exchange(
          Number(new URL(origin).port),
          `GET /?${query(CALLBACK)} HTTP/1.1\r\nHost: x\r\nx-app-id: ${APP}\r\nConnection: close\r\n\r\n`,
        ),
    )
    expect(text).toContain(`\r\nLocation: ${CALLBACK}?code=c\r\n`)
  })

  it('is sent after auditAccess has stored its event, which contains no URL', async () => {
    const sink = memoryAuditSink()
    const app = redirecting('enforce', {}, (policies) => [auditAccess({ policies, sink })])
    expect((await sent(app, `/?${query(`${CALLBACK}secret`)}`))[0]).toContain(`Location: ${CALLBACK}secret`)
    expect((await sent(app, `/?${query(`${EVIL}secret`)}`))[0][0]).toBe('HTTP/1.1 400 Bad Request')
    expect(sink.events()).toHaveLength(2)
    expect(JSON.stringify(sink.events())).not.toContain('secret')
  })

  const wrong: [string, unknown, RegExp][] = [
    ['a URL in place of options', EVIL, /`safeRedirect` takes an object with options, got /],
    ['an unknown option', { url: EVIL }, /safeRedirect: unknown option `url`/],
    ['a name that is no text', { to: 1 }, /`safeRedirect.to`/],
    [
      'a list of parameters',
      { parameters: [['a', 'b']] },
      /`safeRedirect.parameters` must be an object of well-formed strings/,
    ],
    ['a parameter that is no text', { parameters: { code: 1 } }, /`safeRedirect.parameters`/],
    ['half a character', { parameters: { code: '\ud800' } }, /`safeRedirect.parameters`/],
    ['half a character in a name', { parameters: { '\udc00': 'x' } }, /`safeRedirect.parameters`/],
    ['a parameter without a name', { parameters: { '': 'x' } }, /`safeRedirect.parameters`/],
  ]
  it.each(wrong)('refuses %s, without showing the value', (_what, options, message) => {
    const call = () => safeRedirect({} as GuardResponse, {} as GuardRequest, options as SafeRedirectOptions)
    expect(call).toThrow(ConfigError)
    expect(call).toThrow(message)
  })
})
