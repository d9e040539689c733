import { describe, expect, it } from '@jest/globals'
import express, { type Express, type RequestHandler } from 'express'
import request from 'supertest'
import { createPolicySource, domainProtect, memoryStore, returnUrlGuard, type DenialCode } from 'portcullis'
import { allowed, denied, hostileOrigins, hostileReturnUrls, rightfulReturnUrls } from 'portcullis/testing'
import { listening } from '../../support/protected-app.ts'
import { title } from '../../support/title.ts'

/** One app per list of entries, whose id is its index. */
function appsFor(lists: readonly (readonly unknown[])[], section: (entries: readonly unknown[]) => object) {
  const keys = [...new Set(lists.map((entries) => JSON.stringify(entries)))]
  const store = memoryStore(
    keys.map((key, index) => ({ policy: { appId: String(index), ...section(JSON.parse(key)) } })),
  )
  return {
    policies: createPolicySource({ store }),
    appIdOf: (entries: readonly unknown[]) => String(keys.indexOf(JSON.stringify(entries))),
  }
}

const CALLBACK = ['https://example.org/callback/']
const urlApps = appsFor(
  [CALLBACK, ...[...hostileReturnUrls, ...rightfulReturnUrls].map(({ policy }) => policy)],
  (urls) => ({ returnUrlGuard: { mode: 'enforce', urls } }),
)
const login: Express = express().get(
  '/login',
  returnUrlGuard({ policies: urlApps.policies, returnUrl: (req) => req.query['return_url'] }),
  (req, res) => res.redirect(303, req.portcullis.returnUrl ?? '/none'),
)
const goTo = (url: string, entries: readonly unknown[]) =>
  request(login).get('/login').set('x-app-id', urlApps.appIdOf(entries)).query({ return_url: url })

describe('a mounted returnUrlGuard', () => {
  it.each(hostileReturnUrls.map((line) => [line.class, title(line.url), line] as const))(
    'denies %s: %s',
    async (_class, _title, { url, policy }) => {
      await goTo(url, policy).expect(denied('RETURN_URL_NOT_ALLOWED'))
      await goTo(url, CALLBACK).expect(denied('RETURN_URL_NOT_ALLOWED'))
    },
  )

  it.each(rightfulReturnUrls.map((line) => [line.class, title(line.url), line] as const))(
    'allows %s: %s, and the handler redirects to its canonical form',
    async (_class, _title, { url, policy, href }) => {
      await goTo(url, policy).expect(allowed()).expect(303).expect('Location', href)
    },
  )
})

const originApps = appsFor(
  [['https://example.org'], ...hostileOrigins.map(({ policy }) => policy)],
  (domains) => ({
    domainProtect: { mode: 'enforce', domains },
  }),
)
const guarded: Express = express().post(
  '/login',
  domainProtect({ policies: originApps.policies }),
  (_req, res) => res.json({ reached: true }),
)

describe('a mounted domainProtect', () => {
  it.each(hostileOrigins.map((line) => [line.class, title(line.origin), line] as const))(
    'denies %s: %s',
    async (_class, _title, { origin, policy }) => {
      for (const entries of [policy, ['https://example.org']]) {
        const sent = request(guarded).post('/login').set('x-app-id', originApps.appIdOf(entries))
        await sent.set('Origin', origin).expect(denied('ORIGIN_NOT_ALLOWED'))
      }
    },
  )
})

describe('denied() and allowed()', () => {
  const CODE: DenialCode = 'RETURN_URL_NOT_ALLOWED'
  const PROBLEM = {
    type: 'urn:problem-type:portcullis:return-url-not-allowed',
    title: 'The return URL is not allowed',
    status: 400,
    code: CODE,
    instance: '7',
  }
  const HEADERS = {
    'Content-Type': 'application/problem+json',
    'X-Request-Id': '7',
    'Cache-Control': 'no-store',
  }
  const answering = (answer: RequestHandler): Express => express().use(answer)
  /** The correct refusal with changes. */
  const refusing = (body: object = {}, headers: object = {}, status = 400): Express =>
    answering((_req, res) => {
      const kept = Object.entries({ ...HEADERS, ...headers }).filter(([, value]) => value !== undefined)
      res.writeHead(status, Object.fromEntries(kept)).end(JSON.stringify({ ...PROBLEM, ...body }))
    })

  const wrong: [string, Express, RegExp][] = [
    [
      'an answer of the handler',
      answering((_req, res) => void res.json({ ok: true })),
      /the status is 200 instead of 400; the content is not a refusal by a guard: "{\\"ok\\":true}"; the response may be cached$/,
    ],
    [
      'a redirect to where the caller wants to go',
      answering((req, res) => res.redirect(String(req.query['return_url']))),
      /Location: "https:\/\/evil\.example\/"/,
    ],
    [
      'another refusal',
      refusing({ code: 'APP_UNKNOWN', type: 'urn:problem-type:portcullis:app-unknown' }),
      /the code is APP_UNKNOWN/,
    ],
    ['a problem of another kind', refusing({ type: 'about:blank' }), /is not a refusal by a guard/],
    [
      'another content type',
      refusing({}, { 'Content-Type': 'application/json' }),
      /is not a refusal by a guard/,
    ],
    [
      'a page',
      answering((_req, res) => void res.status(400).send('<p>bad')),
      /is not a refusal by a guard: "<p>bad"/,
    ],
    [
      'a refusal that names the URL',
      refusing({ detail: 'https://evil.example/' }),
      /the content reveals more/,
    ],
    ['another title', refusing({ title: 'not https://evil.example/' }), /the content reveals more/],
    ['another request id', refusing({ instance: '8' }), /another request id/],
    ['no request id', refusing({}, { 'X-Request-Id': undefined }), /x-request-id is missing/],
    ['another status', refusing({}, {}, 200), /the status is 200 instead of 400/],
    [
      'a refusal that may be cached',
      refusing({}, { 'Cache-Control': 'public' }),
      /the response may be cached/,
    ],
    [
      'something to follow',
      refusing({}, { Location: 'https://evil.example/' }),
      /the response has a redirect/,
    ],
  ]
  const ask = (app: Express) => request(app).get('/').query({ return_url: 'https://evil.example/' })

  it.each(wrong)('denied() fails on %s', async (_what, app, message) => {
    await expect(ask(app).expect(denied(CODE))).rejects.toThrow(message)
  })

  it.each(wrong)('denied() fails on %s, received by fetch', async (_what, app, message) => {
    await listening(app, async (origin) => {
      const response = await fetch(`${origin}/?return_url=https://evil.example/`, { redirect: 'manual' })
      await expect(denied(CODE)(response)).rejects.toThrow(message)
    })
  })

  it('allowed() fails only on the refusal of a guard', async () => {
    await expect(ask(refusing()).expect(allowed())).rejects.toThrow(/a guard answered RETURN_URL_NOT_ALLOWED/)
    await ask(answering((_req, res) => void res.status(404).end())).expect(allowed())
    await ask(refusing({ type: 'about:blank' })).expect(allowed())
    await listening(refusing(), async (origin) => {
      await denied(CODE)(await fetch(origin))
      await expect(allowed()(await fetch(origin))).rejects.toThrow(/a guard answered/)
    })
  })

  it('fail on every hostile URL when the guard is not mounted', async () => {
    const open = answering((req, res) => res.redirect(303, String(req.query['return_url'])))
    for (const { url } of hostileReturnUrls.slice(0, 50)) {
      await expect(request(open).get('/').query({ return_url: url }).expect(denied(CODE))).rejects.toThrow(
        /expected the refusal/,
      )
    }
  })

  it('allowed without a call reports this', async () => {
    await expect(ask(answering((_req, res) => void res.end())).expect(allowed as never)).rejects.toThrow(
      /write `\.expect\(allowed\(\)\)`/,
    )
  })

  it('denied() refuses an unknown code', () => {
    expect(() => denied('FORBIDDEN' as DenialCode)).toThrow(
      /`denied\(code\)` must be one of APP_UNIDENTIFIED, /,
    )
  })
})
