import { describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  bodyParsers,
  returnUrlGuard,
  type PolicySource,
  type ReturnUrlGuardOptions,
  type PolicyInput,
} from 'portcullis'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const GOOD = 'https://example.org/callback/a'
const OTHER = 'https://example.org/callback/b'
const EVIL = 'https://evil.example/'
const SECTIONS = { returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] } } as const

type Place = ReturnUrlGuardOptions['returnUrl']

const QUERY = { query: 'return_url' }
const BODY = { body: 'return_url' }
const NESTED = { body: 'options.redirect.url' }
const STRIPE = [{ query: 'success_url' }, { query: 'cancel_url', optional: true }]

interface Sent {
  readonly method?: string
  readonly target?: string
  readonly json?: string
  readonly form?: string
  readonly type?: string
  readonly chunked?: boolean
}

/** Writes a raw request that no client would send. */
function written({ target = '/', json, form, type, chunked = false, ...given }: Sent): string {
  const body = json ?? form ?? ''
  const method = given.method ?? (body === '' ? 'GET' : 'POST')
  const media = type ?? (json === undefined ? 'application/x-www-form-urlencoded' : 'application/json')
  const head = `${method} ${target} HTTP/1.1\r\nHost: x\r\nx-app-id: ${APP}\r\nConnection: close\r\n`
  if (body === '') return `${head}\r\n`
  const bytes = Buffer.byteLength(body)
  return chunked
    ? `${head}Content-Type: ${media}\r\nTransfer-Encoding: chunked\r\n\r\n${bytes.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    : `${head}Content-Type: ${media}\r\nContent-Length: ${bytes}\r\n\r\n${body}`
}

/** The value passed to the handler, or the code of the refusal. Also checks that the answer never echoes the input. */
async function answer(
  returnUrl: Place,
  sent: Sent,
  {
    sections = SECTIONS,
    parsers = [bodyParsers()],
    ...options
  }: Partial<ReturnUrlGuardOptions> & { sections?: Partial<PolicyInput>; parsers?: readonly unknown[] } = {},
): Promise<unknown> {
  const guards = (policies: PolicySource): unknown[] => [
    ...parsers,
    returnUrlGuard({ policies, returnUrl, ...options }),
  ]
  const { app, reached } = protectedApp(sections, guards, (req, res) => {
    const { returnUrl: first, returnUrls } = req.portcullis
    res.json([first, returnUrls])
  })
  const text = await listening(app, (origin) => exchange(Number(new URL(origin).port), written(sent)))
  const [head = '', body = ''] = text.split('\r\n\r\n')
  if (head.startsWith('HTTP/1.1 200')) return JSON.parse(body)
  expect(reached).toEqual([])
  expect(text).not.toMatch(/example\.org|evil|callback|location/i)
  return (JSON.parse(body) as { code?: string }).code
}

const encoded = encodeURIComponent
const REFUSED = 'RETURN_URL_NOT_ALLOWED'
const REQUIRED = 'RETURN_URL_REQUIRED'

describe('a declared place', () => {
  const admitted: [string, Place, Sent, unknown][] = [
    [
      'the query of an absolute target',
      QUERY,
      { target: `http://evil.example/?return_url=${GOOD}` },
      [GOOD, { return_url: GOOD }],
    ],
    [
      'the query of a target that begins with two slashes',
      QUERY,
      { target: `//evil.example/?return_url=${GOOD}` },
      [GOOD, { return_url: GOOD }],
    ],
    ['the query', QUERY, { target: `/?a=1&return_url=${encoded(GOOD)}` }, [GOOD, { return_url: GOOD }]],
    ['the query, not encoded', QUERY, { target: `/?return_url=${GOOD}` }, [GOOD, { return_url: GOOD }]],
    [
      'the query, its name encoded',
      QUERY,
      { target: `/?return%5Furl=${GOOD}` },
      [GOOD, { return_url: GOOD }],
    ],
    [
      'the query of a POST',
      QUERY,
      { target: `/?return_url=${GOOD}`, json: `{"return_url":"${EVIL}"}` },
      [GOOD, { return_url: GOOD }],
    ],
    ['a JSON body', BODY, { json: `{"return_url":"${GOOD}"}` }, [GOOD, { return_url: GOOD }]],
    [
      'a JSON body in chunks',
      BODY,
      { json: `{"return_url":"${GOOD}"}`, chunked: true },
      [GOOD, { return_url: GOOD }],
    ],
    [
      'a JSON body with escapes',
      BODY,
      { json: String.raw`{"return\u005furl":"https:\/\/example.org\/callback\/a"}` },
      [GOOD, { return_url: GOOD }],
    ],
    ['a form', BODY, { form: `return_url=${encoded(GOOD)}` }, [GOOD, { return_url: GOOD }]],
    [
      'a nested member',
      NESTED,
      { json: `{"options":{"redirect":{"url":"${GOOD}"}}}` },
      [GOOD, { 'options.redirect.url': GOOD }],
    ],
    [
      'a nested parameter of a form',
      NESTED,
      { form: `options[redirect][url]=${encoded(GOOD)}` },
      [GOOD, { 'options.redirect.url': GOOD }],
    ],
    [
      'a name of its own',
      { ...QUERY, name: 'next' },
      { target: `/?return_url=${GOOD}` },
      [GOOD, { next: GOOD }],
    ],
    [
      'a name like __proto__',
      { query: '__proto__' },
      { target: `/?__proto__=${GOOD}` },
      [GOOD, JSON.parse(`{"__proto__":"${GOOD}"}`)],
    ],
    [
      'the first of two',
      [QUERY, BODY],
      { target: `/?return_url=${GOOD}`, json: '{"a":1}' },
      [GOOD, { return_url: GOOD }],
    ],
    ['the second of two', [QUERY, BODY], { json: `{"return_url":"${GOOD}"}` }, [GOOD, { return_url: GOOD }]],
    ['a place that may be left out', { ...QUERY, optional: true }, {}, [null, {}]],
    [
      'a place that may be left out, empty',
      { ...QUERY, optional: true },
      { target: '/?return_url=' },
      [null, {}],
    ],
    [
      'both of two',
      STRIPE,
      { target: `/?cancel_url=${OTHER}&success_url=${GOOD}` },
      [GOOD, { success_url: GOOD, cancel_url: OTHER }],
    ],
    [
      'the one of two that is needed',
      STRIPE,
      { target: `/?success_url=${GOOD}` },
      [GOOD, { success_url: GOOD }],
    ],
  ]
  it.each(admitted)('is read: %s', async (_what, place, sent, handed) => {
    expect(await answer(place, sent)).toEqual(handed)
  })

  const refused: [string, Place, Sent, string][] = [
    ['nothing', QUERY, {}, REQUIRED],
    ['an empty text', QUERY, { target: '/?return_url=' }, REQUIRED],
    ['a name without a value', QUERY, { target: '/?return_url' }, REQUIRED],
    ['another host', QUERY, { target: `/?return_url=${EVIL}` }, REFUSED],
    ['a parameter twice', QUERY, { target: `/?return_url=${GOOD}&return_url=${EVIL}` }, REFUSED],
    [
      'a parameter twice, with one value',
      QUERY,
      { target: `/?return_url=${GOOD}&return_url=${GOOD}` },
      REFUSED,
    ],
    ['a parameter twice, encoded', QUERY, { target: `/?return_url=${GOOD}&return%5Furl=${EVIL}` }, REFUSED],
    ['a list', QUERY, { target: `/?return_url[]=${GOOD}` }, REFUSED],
    ['a list with an index', QUERY, { target: `/?return_url[0]=${GOOD}` }, REFUSED],
    ['a parameter and a list', QUERY, { target: `/?return_url=${GOOD}&return_url[]=${EVIL}` }, REFUSED],
    [
      'a parameter and a name in brackets',
      QUERY,
      { target: `/?return_url=${GOOD}&[return_url]=${EVIL}` },
      REFUSED,
    ],
    ['an object', QUERY, { target: `/?return_url[href]=${GOOD}` }, REFUSED],
    [
      'a flood of parameters',
      QUERY,
      { target: `/?return_url=${GOOD}&${'a&'.repeat(1000)}return_url=${EVIL}` },
      REFUSED,
    ],
    [
      'a flood ahead of the parameter',
      QUERY,
      { target: `/?${'a&'.repeat(1000)}return_url=${GOOD}` },
      REFUSED,
    ],
    ['bytes that nobody can decode', QUERY, { target: `/?return_url=${GOOD}%ED%A0%80` }, REFUSED],
    ['the replacement character', QUERY, { target: `/?return_url=${GOOD}%EF%BF%BD` }, REFUSED],
    ['a fragment', QUERY, { target: `/?return_url=${GOOD}#` }, REFUSED],
    [
      'a fragment that hides a repetition',
      QUERY,
      { target: `/?return_url=${GOOD}#&return_url=${EVIL}` },
      REFUSED,
    ],
    ['nothing in the query but in the body', QUERY, { json: `{"return_url":"${GOOD}"}` }, REQUIRED],
    ['nothing in the body but in the query', BODY, { target: `/?return_url=${GOOD}`, json: '{}' }, REQUIRED],
    ['no body', BODY, {}, REQUIRED],
    ['null', BODY, { json: '{"return_url":null}' }, REFUSED],
    ['a list in JSON', BODY, { json: `{"return_url":["${GOOD}"]}` }, REFUSED],
    ['an object in JSON', BODY, { json: `{"return_url":{"href":"${GOOD}"}}` }, REFUSED],
    [
      'half a character',
      BODY,
      { json: String.raw`{"return_url":"https://example.org/callback/\ud800"}` },
      REFUSED,
    ],
    ['a member twice', BODY, { json: `{"return_url":"${EVIL}","return_url":"${GOOD}"}` }, REFUSED],
    [
      'a member twice, escaped',
      BODY,
      { json: `{"return_url":"${EVIL}","return\\u005furl":"${GOOD}"}` },
      REFUSED,
    ],
    [
      'a member of a member twice',
      NESTED,
      { json: `{"options":{"redirect":{"url":"${EVIL}"}},"options":{"redirect":{"url":"${GOOD}"}}}` },
      REFUSED,
    ],
    [
      'a member of the prototype',
      NESTED,
      { json: `{"__proto__":{"options":{"redirect":{"url":"${GOOD}"}}}}` },
      REQUIRED,
    ],
    ['a parameter of a form twice', BODY, { form: `return_url=${GOOD}&return_url=${EVIL}` }, REFUSED],
    ['a list in a form', BODY, { form: `return_url[]=${GOOD}` }, REFUSED],
    ['another spelling of what is nested', NESTED, { form: `options[redirect][url][]=${GOOD}` }, REFUSED],
    ['a body that nobody has kept', BODY, { json: `{"return_url":"${GOOD}"}`, type: 'text/plain' }, REFUSED],
    [
      'a body that nobody has kept, though it may be left out',
      { ...BODY, optional: true },
      { json: '{}', type: 'multipart/form-data' },
      REFUSED,
    ],
    [
      'what may be left out and is wrong',
      { ...QUERY, optional: true },
      { target: `/?return_url=${EVIL}` },
      REFUSED,
    ],
    [
      'what may be left out, twice',
      { ...QUERY, optional: true },
      { target: '/?return_url=&return_url=' },
      REFUSED,
    ],
    [
      'two places of one name',
      [QUERY, BODY],
      { target: `/?return_url=${GOOD}`, json: `{"return_url":"${OTHER}"}` },
      REFUSED,
    ],
    [
      'two places of one name that agree',
      [QUERY, BODY],
      { target: `/?return_url=${GOOD}`, json: `{"return_url":"${GOOD}"}` },
      REFUSED,
    ],
    [
      'two places of one name, one of them empty',
      [QUERY, BODY],
      { target: '/?return_url=', json: `{"return_url":"${GOOD}"}` },
      REFUSED,
    ],
    [
      'two places of one name, one of them a list',
      [QUERY, BODY],
      { target: '/?return_url[]=', json: `{"return_url":"${GOOD}"}` },
      REFUSED,
    ],
    ['neither of two places', [QUERY, BODY], { json: '{}' }, REQUIRED],
    [
      'two names, the first of them wrong',
      STRIPE,
      { target: `/?success_url=${EVIL}&cancel_url=${GOOD}` },
      REFUSED,
    ],
    [
      'two names, the second of them wrong',
      STRIPE,
      { target: `/?success_url=${GOOD}&cancel_url=${EVIL}` },
      REFUSED,
    ],
    ['two names, the needed one not there', STRIPE, { target: `/?cancel_url=${GOOD}` }, REQUIRED],
  ]
  it.each(refused)('refuses %s', async (_what, place, sent, code) => {
    expect(await answer(place, sent)).toBe(code)
  })

  it('is read the same by every parser if it is admitted', async () => {
    const app = protectedApp(
      SECTIONS,
      (policies) => [returnUrlGuard({ policies, returnUrl: QUERY })],
      (req, res) => {
        const { returnUrl } = req.portcullis
        res.json([
          returnUrl,
          req.query['return_url'],
          new URL(`http://x${req.url}`).searchParams.getAll('return_url'),
        ])
      },
    ).app
    for (const parser of ['simple', 'extended']) {
      app.set('query parser', parser)
      const target = `/?x[]=1&return_url=${GOOD}&y=%ff`
      const text = await listening(app, (origin) =>
        exchange(Number(new URL(origin).port), written({ target })),
      )
      expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toEqual([GOOD, GOOD, [GOOD]])
    }
  })

  it('in the body needs bodyParsers, which keep the received bytes', async () => {
    const sent = { json: `{"return_url":"${GOOD}"}` }
    expect(await answer(BODY, sent, { parsers: [express.json()] })).toBe(REFUSED)
    expect(await answer((req) => req.body?.return_url, sent, { parsers: [express.json()] })).toEqual([
      GOOD,
      { returnUrl: GOOD },
    ])
  })

  it('is read from the target as received, whatever middleware or routers change', async () => {
    const rewrite: express.RequestHandler = (req, _res, next) => {
      req.url = `/?return_url=${GOOD}`
      next()
    }
    expect(await answer(QUERY, { target: `/?return_url=${EVIL}` }, { parsers: [rewrite] })).toBe(REFUSED)
  })

  it.each(['HEAD', 'OPTIONS', 'DELETE'])('is judged for %s as for any other method', async (method) => {
    const { app, reached } = protectedApp(SECTIONS, (policies) => [
      returnUrlGuard({ policies, returnUrl: QUERY }),
    ])
    await listening(app, async (origin) => {
      const send = (target: string) => fetch(origin + target, { method, headers: { 'x-app-id': APP } })
      expect((await send(`/?return_url=${GOOD}`)).status).toBe(200)
      expect((await send(`/?return_url=${EVIL}`)).status).toBe(400)
    })
    expect(reached).toHaveLength(1)
  })

  for (const mode of ['report', 'off'] as const) {
    it(`passes on well-formed URLs in mode ${mode}, and lets other requests pass without one`, async () => {
      const sections = { returnUrlGuard: { ...SECTIONS.returnUrlGuard, mode } }
      const pass = (target: string) => answer(STRIPE, { target }, { sections, reserved: ['code'] })
      expect(await pass(`/?success_url=${EVIL}&cancel_url=${GOOD}`)).toEqual([
        EVIL,
        { success_url: EVIL, cancel_url: GOOD },
      ])
      expect(await pass(`/?success_url=${EVIL}?code=1&cancel_url=${EVIL}`)).toEqual([
        EVIL,
        { cancel_url: EVIL },
      ])
      expect(await pass(`/?success_url=${GOOD}&success_url=${EVIL}`)).toEqual([null, {}])
      expect(await pass(`/?success_url=javascript:alert(1)&cancel_url=${GOOD}`)).toEqual([
        GOOD,
        { cancel_url: GOOD },
      ])
      expect(await pass('/')).toEqual([null, {}])
    })
  }

  it('is named in the trail with the reason if there are several', async () => {
    const details: unknown[] = []
    const note = (place: Place, target: string) =>
      answer(
        place,
        { target },
        {
          onReport: ({ detail, evidence }) => details.push([detail, evidence]),
          sections: { returnUrlGuard: { ...SECTIONS.returnUrlGuard, mode: 'report' } },
        },
      )
    await note(STRIPE, `/?success_url=${GOOD}&cancel_url=${EVIL}`)
    await note(STRIPE, '/')
    await note(QUERY, '/?return_url=a&return_url=b')
    expect(details).toEqual([
      ['the URL matches no entry', { parameter: 'cancel_url', origin: 'https://evil.example' }],
      ['the request has no return URL', { parameter: 'success_url' }],
      ['the URL was refused: it is named more than once', { reason: 'repeated' }],
    ])
  })
})

describe('relativeTo', () => {
  const HERE = 'https://gateway.example'
  const sections = {
    returnUrlGuard: { mode: 'enforce', urls: [`${HERE}/settings`, 'https://example.org/callback/'] },
  } satisfies Partial<PolicyInput>
  const go = (url: string, relativeTo?: string) =>
    answer(QUERY, { target: `/?return_url=${encoded(url)}` }, { sections, relativeTo })

  it('resolves a path to a URL of this server, and judges it by the entries of the app', async () => {
    expect(await go('/settings/mail?x=1', HERE)).toEqual([
      `${HERE}/settings/mail?x=1`,
      { return_url: `${HERE}/settings/mail?x=1` },
    ])
    expect(await go(GOOD, HERE)).toEqual([GOOD, { return_url: GOOD }])
  })

  it.each([
    '/admin',
    '/settingsx',
    '//example.org/callback/',
    '/settings/../admin',
    '/\\evil.example',
    'settings',
    '?',
    '//gateway.example/settings',
  ])('refuses %s', async (url) => {
    expect(await go(url, HERE)).toBe(REFUSED)
  })

  it('is off unless it is enabled', async () => {
    expect(await go('/settings')).toBe(REFUSED)
  })
})

describe('reserved', () => {
  const go = (query: string) =>
    answer(QUERY, { target: `/?return_url=${encoded(GOOD + query)}` }, { reserved: ['code', '_ukey1'] })

  it.each(['', '?', '?tracking=1', '?codes=1&x[code]=2', '?x=code'])(
    'admits a URL with the query %j',
    async (query) => {
      expect(await go(query)).toEqual([GOOD + query, { return_url: GOOD + query }])
    },
  )

  it.each([
    '?code=x',
    '?a=1&CODE',
    '?c%6Fde=x',
    '?code[]=x',
    '?[code]=x',
    '?_ukey1[code]=x',
    '?%5Fukey1%5Bcode%5D=x',
  ])('refuses %s, which the app could mistake for our answer', async (query) => {
    expect(await go(query)).toBe(REFUSED)
  })
})

describe('a place after an optional one', () => {
  const places = [{ query: 'a', optional: true }, { query: 'b', optional: true }, { query: 'c' }] as const
  for (const [target, expected] of [
    [`/?c=${GOOD}`, [GOOD, { c: GOOD }]],
    [`/?c=${EVIL}`, 'RETURN_URL_NOT_ALLOWED'],
    [`/?b=${EVIL}&c=${GOOD}`, 'RETURN_URL_NOT_ALLOWED'],
    [`/?a=${EVIL}&c=${GOOD}`, 'RETURN_URL_NOT_ALLOWED'],
    [`/?b=${OTHER}&c=${GOOD}`, [OTHER, { b: OTHER, c: GOOD }]],
    [`/?a=${GOOD}&b=${OTHER}`, 'RETURN_URL_REQUIRED'],
    ['/', 'RETURN_URL_REQUIRED'],
  ] as const) {
    it(`is still judged: ${target}`, async () => {
      expect(await answer(places, { target })).toEqual(expected)
    })
  }
})
