import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStorage } from '../../../example-server/storage.ts'
import { exchange } from '../../support/raw-exchange.ts'
import {
  ADA,
  answerOf,
  CALLBACK,
  CONNECT,
  json,
  SHOP,
  SHOP_POLICY,
  shopServer,
  signUp,
  startExampleServer,
  type ExampleServer,
} from '../../support/example-server.ts'

let server: ExampleServer

beforeEach(async () => {
  server = await startExampleServer()
})
afterEach(() => server.close())

const route = (path: string): string => `${server.url}/auth/v2/${path}`
const shop = shopServer()

async function connect(body: object = CONNECT): Promise<{ connect_id: string; gateway: string }> {
  const response = await shop.send(route('connect'), json(body))
  expect(response.status).toBe(200)
  return (await response.json()) as { connect_id: string; gateway: string }
}

/** Runs the flow from connect to the code. */
async function authorize(profile: Record<string, string> = ADA): Promise<Record<string, string>> {
  const { gateway } = await connect()
  const visitor = await signUp(server, gateway, profile)
  const { location } = await visitor.submit('consent', { email: 'yes' })
  return answerOf(location)
}

const tokenRequest = ({ request_id, connect_id, code }: Record<string, string>): object => ({
  request_id,
  connect_id,
  auth_code: code,
})

async function tokenFor(answer: Record<string, string>): Promise<string> {
  const response = await shop.send(route('token'), json(tokenRequest(answer)))
  expect(response.status).toBe(200)
  return ((await response.json()) as { access_token: string }).access_token
}

const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } })

/** Checks that the answer is exactly this problem document, and that the audit agrees. */
async function expectRefusal(response: Response, status: number, code: string): Promise<void> {
  const body = (await response.json()) as Record<string, unknown>
  expect({ status: response.status, code: body['code'] }).toEqual({ status, code })
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(response.headers.get('cache-control')).toBe('no-store')
  const event = server.sink
    .events()
    .find(({ kind, requestId }) => kind === 'operation' && requestId === body['instance'])
  expect(event).toMatchObject({
    status,
    outcome: 'refused',
    decisions: expect.arrayContaining([expect.objectContaining({ effect: 'deny', code })]),
  })
}

describe('a server app', () => {
  it('signs a person in: connect, sign up, consent, redirect, token, me', async () => {
    const { connect_id, gateway } = await connect()
    expect(gateway).toBe(`${server.url}/gateway/${connect_id}`)

    const visitor = await signUp(server, gateway)
    expect(visitor.page?.html).toContain('Shop &#38; &#60;Sons&#62;')
    const { status, location } = await visitor.submit('consent', { email: 'yes' })
    expect(status).toBe(303)
    expect(location?.startsWith(`${CALLBACK}&`)).toBe(true)
    const answer = answerOf(location)
    expect(answer).toEqual({
      request_id: 'request-1',
      connect_id,
      result: 'authorized',
      code: expect.stringMatching(/^[\w-]{43}$/),
    })

    const response = await shop.send(route('token'), json(tokenRequest(answer)))
    const token = (await response.json()) as Record<string, unknown>
    expect(token).toEqual({
      result: 200,
      access_token: expect.stringMatching(/^[\w.-]{40,}$/),
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scope: 'firstname email',
      me: `${server.url}/auth/v2/me`,
    })

    server.sink.clear()
    const me = await shop.send(route('me'), bearer(String(token['access_token'])))
    expect(me.status).toBe(200)
    expect(await me.json()).toMatchObject({ user: { firstname: 'Ada', email: 'ada@example.org' } })
    const events = server.sink.events()
    const fields = events.filter((event) => event.kind === 'field')
    expect(fields.map(({ field, appId, reads }) => ({ field, appId, reads }))).toEqual([
      { field: 'firstname', appId: 'shop', reads: 1 },
      { field: 'email', appId: 'shop', reads: 1 },
    ])
    expect(JSON.stringify(events)).not.toMatch(/Ada|ada@example/)
    expect(events.find(({ kind }) => kind === 'operation')).toMatchObject({
      operation: 'GET /auth/v2/me',
      outcome: 'answered',
      status: 200,
      region: { here: 'london', jurisdiction: 'europe' },
    })
  })

  it('receives only fields that it requested and that the person ticked', async () => {
    const { gateway } = await connect()
    const visitor = await signUp(server, gateway)
    const { location } = await visitor.submit('consent', { surname: 'yes', country: 'yes' })
    const me = await shop.send(route('me'), bearer(await tokenFor(answerOf(location))))
    const text = await me.text()
    expect(text).toContain('Ada')
    for (const secret of ['Lovelace', 'ada@example.org', 'FR', 'images.example'])
      expect(text).not.toContain(secret)
  })

  it('cannot use a code twice, and the second use revokes the token of the first', async () => {
    const answer = await authorize()
    const token = await tokenFor(answer)
    expect((await shop.send(route('me'), bearer(token))).status).toBe(200)
    const second = await shop.send(route('token'), json(tokenRequest(answer)))
    expect(second.status).toBe(400)
    expect(await second.json()).toMatchObject({ code: 'CODE_INVALID' })
    const me = await shop.send(route('me'), bearer(token))
    expect(me.status).toBe(401)
    expect(await me.json()).toMatchObject({ code: 'TOKEN_INVALID' })
  })

  it('cannot use a token with a guessed part', async () => {
    const token = await tokenFor(await authorize())
    const last = token.endsWith('A') ? 'B' : 'A'
    for (const guessed of [
      token.slice(0, -1) + last,
      token.slice(0, -1),
      token.split('.')[0] ?? '',
      `${token}A`,
    ])
      expect((await shop.send(route('me'), bearer(guessed))).status).toBe(401)
    expect((await shop.send(route('me'), bearer(token))).status).toBe(200)
  })

  it('gets at most one usable token if a code is sent many times at once', async () => {
    const answer = await authorize()
    const responses = await Promise.all(
      Array.from({ length: 8 }, () => shop.send(route('token'), json(tokenRequest(answer)))),
    )
    const given = responses.filter(({ status }) => status === 200)
    expect(given.length).toBe(1)
    const bodies = (await Promise.all(given.map((response) => response.json()))) as { access_token: string }[]
    for (const { access_token } of bodies) {
      expect((await shop.send(route('me'), bearer(access_token))).status).toBe(401)
    }
  })

  it('cannot use a code for another request or connection, and uses it up by trying', async () => {
    for (const wrong of [{ request_id: 'request-2' }, { connect_id: 'A'.repeat(43) }]) {
      const answer = await authorize({ ...ADA, email: `${Object.keys(wrong)[0]}@example.org` })
      const tampered = await shop.send(route('token'), json({ ...tokenRequest(answer), ...wrong }))
      expect(tampered.status).toBe(400)
      expect((await shop.send(route('token'), json(tokenRequest(answer)))).status).toBe(400)
    }
  })

  it('cannot use the code or the token of another app', async () => {
    const other = { ...SHOP_POLICY, appId: 'other', serverOnly: { mode: 'off' } }
    await server.change(other)
    const asOther = { 'x-app-id': 'other', 'x-origin': SHOP }
    const token = await tokenFor(await authorize())
    const me = await fetch(route('me'), { headers: { ...asOther, authorization: `Bearer ${token}` } })
    expect(me.status).toBe(401)
    const answer = await authorize({ ...ADA, email: 'other@example.org' })
    const stolen = await fetch(route('token'), json(tokenRequest(answer), asOther))
    expect(stolen.status).toBe(400)
  })
})

/** Each step of the app, as a valid request. */
const STEPS: Record<string, () => Promise<{ url: string; init: RequestInit }>> = {
  connect: async () => ({ url: route('connect'), init: json(CONNECT) }),
  token: async () => ({ url: route('token'), init: json(tokenRequest(await authorize())) }),
  me: async () => ({ url: route('me'), init: bearer(await tokenFor(await authorize())) }),
}

for (const [step, prepare] of Object.entries(STEPS)) {
  describe(`${step} refuses`, () => {
    it('a wrong origin', async () => {
      const { url, init } = await prepare()
      const response = await shopServer({ origin: 'https://shop.example.evil.example' }).send(url, init)
      await expectRefusal(response, 403, 'ORIGIN_NOT_ALLOWED')
    })

    it('an address outside the ranges, as soon as the policy says so', async () => {
      const { url, init } = await prepare()
      await server.change(SHOP_POLICY, { ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } })
      await expectRefusal(await shop.send(url, init), 403, 'ADDRESS_NOT_ALLOWED')
      await server.change(SHOP_POLICY)
      expect((await shop.send(url, init)).status).toBe(200)
    })

    it('a request without a signature', async () => {
      const { url, init } = await prepare()
      const headers = { ...init.headers, 'x-app-id': 'shop', 'x-origin': SHOP }
      await expectRefusal(await fetch(url, { ...init, headers }), 401, 'SIGNATURE_REQUIRED')
    })

    it('a signature with another key', async () => {
      const { url, init } = await prepare()
      const stranger = shopServer({ secret: Buffer.alloc(32, 8).toString('base64') })
      await expectRefusal(await stranger.send(url, init), 401, 'SIGNATURE_INVALID')
    })

    it('a replayed request', async () => {
      const { url, init } = await prepare()
      expect((await shop.send(url, init)).status).toBe(200)
      await expectRefusal(await fetch(shop.sent.url, shop.sent.init), 401, 'SIGNATURE_REPLAYED')
    })

    it('a signature from an hour ago', async () => {
      const { url, init } = await prepare()
      const late = shopServer({ now: () => Date.now() - 3_600_000 })
      await expectRefusal(await late.send(url, init), 401, 'SIGNATURE_EXPIRED')
    })

    it('a request that was changed in transit', async () => {
      const { url, init } = await prepare()
      const held = shopServer({ hold: true })
      await held.send(url, init).catch(() => undefined)
      const signed = held.sent
      const tampered =
        init.body === undefined
          ? { url: `${url}?as=admin`, init: signed.init }
          : { url, init: { ...signed.init, body: String(init.body).replace('request-1', 'request-2') } }
      const response = await fetch(tampered.url, tampered.init)
      await expectRefusal(response, 401, init.body === undefined ? 'SIGNATURE_INVALID' : 'DIGEST_MISMATCH')
    })

    it('an unknown app, and a request without an app id', async () => {
      const { url, init } = await prepare()
      const headers = { ...init.headers, 'x-app-id': 'nobody' }
      for (const sent of [{ ...init, headers }, init]) {
        const response = await fetch(url, sent)
        expect(response.status).toBe(401)
        expect(await response.json()).toMatchObject({ title: 'The calling app is not known' })
      }
    })

    it('a browser, even with a signature', async () => {
      const { url, init } = await prepare()
      const headers = { ...init.headers, origin: SHOP }
      await expectRefusal(await shop.send(url, { ...init, headers }), 403, 'BROWSER_NOT_ALLOWED')
    })
  })
}

describe('connect refuses', () => {
  const urls = [
    'https://evil.example/callback/',
    `${SHOP}/callback`,
    `${SHOP}/callback/../admin`,
    `${SHOP}/callback/%2e%2e/admin`,
    `https://shop.example@evil.example/callback/`,
    'https://shop.example.evil.example/callback/',
    'http://shop.example/callback/',
    'javascript:alert(1)//https://shop.example/callback/',
    `${SHOP}\\callback/`,
    ` ${CALLBACK}`,
    [CALLBACK, CALLBACK],
    { toString: CALLBACK },
    7,
  ]
  for (const return_url of urls) {
    it(`the return URL ${JSON.stringify(return_url)}`, async () => {
      const response = await shop.send(route('connect'), json({ ...CONNECT, return_url }))
      await expectRefusal(response, 400, 'RETURN_URL_NOT_ALLOWED')
    })
  }

  it('no return URL', async () => {
    const response = await shop.send(route('connect'), json({ request_id: 'r', scope: 'email' }))
    await expectRefusal(response, 400, 'RETURN_URL_REQUIRED')
  })

  for (const name of ['_ukey1[code]', '_ukey1%5Bcode%5D', '%5fukey1[code]', '_uke%79%31[result]', '_ukey1']) {
    it(`a return URL with ${name}, which could be mistaken for our answer`, async () => {
      const return_url = `${SHOP}/callback/?${name}=x`
      const response = await shop.send(route('connect'), json({ ...CONNECT, return_url }))
      await expectRefusal(response, 400, 'RETURN_URL_NOT_ALLOWED')
    })
  }

  it('a return URL that is sent twice', async () => {
    const twice = JSON.stringify(CONNECT).replace('{', `{"return\\u005furl":"https://evil.example/",`)
    const response = await shop.send(route('connect'), { ...json(CONNECT), body: twice })
    await expectRefusal(response, 400, 'RETURN_URL_NOT_ALLOWED')
  })

  const bodies: Record<string, unknown> = {
    'a request id of 65 characters': { ...CONNECT, request_id: 'r'.repeat(65) },
    'an empty request id': { ...CONNECT, request_id: '' },
    'half a character as request id': { ...CONNECT, request_id: '\ud800' },
    'a number as request id': { ...CONNECT, request_id: 1 },
    'a list as request id': { ...CONNECT, request_id: ['r'] },
    'an unknown field': { ...CONNECT, scope: ['firstname', 'password'] },
    'a field twice': { ...CONNECT, scope: 'email email!' },
    'an object as scope': { ...CONNECT, scope: { email: true } },
    'lists in the scope': { ...CONNECT, scope: [['email']] },
  }
  for (const [what, body] of Object.entries(bodies)) {
    it(`a body with ${what}`, async () => {
      const response = await shop.send(route('connect'), json(body))
      expect(response.status).toBe(400)
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(await response.json()).toMatchObject({ code: 'INVALID_REQUEST' })
    })
  }
})

describe('PKCE', () => {
  const verifier = 'v'.repeat(43)
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  const asBrowser = { 'x-app-id': 'open', origin: SHOP }
  beforeEach(() => server.change({ ...SHOP_POLICY, appId: 'open' }, { serverOnly: { mode: 'off' } }))

  it('is required from an app that does not sign', async () => {
    const response = await fetch(route('connect'), json(CONNECT, asBrowser))
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      code: 'INVALID_REQUEST',
      errors: [{ path: 'code_challenge' }],
    })
  })

  it('requires the verifier to exchange the code, and a wrong verifier uses the code up', async () => {
    for (const [given, statuses] of [
      [verifier, [200, 400]],
      ['w'.repeat(43), [400, 400]],
      [undefined, [400, 400]],
    ] as const) {
      const response = await fetch(
        route('connect'),
        json({ ...CONNECT, code_challenge: challenge }, asBrowser),
      )
      const { gateway } = (await response.json()) as { gateway: string }
      const visitor = await signUp(server, gateway, {
        ...ADA,
        email: `${String(given).slice(0, 9)}@example.org`,
      })
      const answer = answerOf((await visitor.submit('consent', {})).location)
      const exchange = async (code_verifier: string | undefined): Promise<number> =>
        (await fetch(route('token'), json({ ...tokenRequest(answer), code_verifier }, asBrowser))).status
      expect([await exchange(given), await exchange(verifier)]).toEqual(statuses)
    }
  })

  it('must be used from the beginning: a verifier without a challenge is refused', async () => {
    const answer = await authorize()
    const body = { ...tokenRequest(answer), code_verifier: verifier }
    expect((await shop.send(route('token'), json(body))).status).toBe(400)
  })
})

describe('production', () => {
  it('has no demo, does not explain refusals, and answers only over HTTPS', async () => {
    await server.close()
    server = await startExampleServer({ production: true, trustProxy: ['127.0.0.1'] })
    const overHttps = { 'x-forwarded-proto': 'https' }
    expect((await fetch(server.url)).status).toBe(403)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    for (const path of ['/demo', '/demo/callback/', '/assets/demo.js', '/why'])
      expect((await fetch(server.url + path, { headers: overHttps })).status).toBe(404)
    const home = await (await fetch(server.url, { headers: overHttps })).text()
    expect(home).not.toMatch(/demo/i)
    await fetch(
      route('connect'),
      json(CONNECT, { ...overHttps, 'x-app-id': 'shop', 'x-origin': 'https://evil.example' }),
    )
    const line = server.lines.find((text) => text.includes('ORIGIN_NOT_ALLOWED')) ?? '{}'
    expect(JSON.parse(line)).toMatchObject({ event: 'refused', guard: 'domainProtect', app: 'shop' })
    expect(server.lines.join()).not.toContain('evil')
  })
})

describe('a person whose data must stay elsewhere', () => {
  it('is refused by `me` with 421 in the wrong region, and served in the right one', async () => {
    const storage = memoryStorage()
    await server.close()
    server = await startExampleServer({ storage })
    const token = await tokenFor(await authorize())
    const dallas = await startExampleServer({ storage, region: 'dallas' })
    try {
      const response = await shop.send(`${dallas.url}/auth/v2/me`, bearer(token))
      expect(response.status).toBe(421)
      const body = (await response.json()) as { code: string; instance: string }
      expect(body).toMatchObject({ code: 'REGION_MISDIRECTED' })
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      const events = dallas.sink.events()
      expect(events.filter(({ kind }) => kind === 'field')).toEqual([])
      expect(events.find(({ requestId }) => requestId === body.instance)).toMatchObject({
        outcome: 'refused',
        status: 421,
      })
      expect((await shop.send(route('me'), bearer(token))).status).toBe(200)
    } finally {
      await dallas.close()
    }
  })
})

describe('me', () => {
  const tokens: Record<string, string | undefined> = {
    'no token': undefined,
    'a made up token': `Bearer ${'A'.repeat(43)}`,
    'another scheme': 'Basic YTpi',
    'a token of the wrong length': 'Bearer abc',
    'two words': `Bearer ${'A'.repeat(43)} x`,
  }
  for (const [what, authorization] of Object.entries(tokens)) {
    it(`answers ${what} with 401 and a challenge`, async () => {
      const headers = authorization === undefined ? {} : { authorization }
      const response = await shop.send(route('me'), { headers })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(await response.json()).toMatchObject({ code: 'TOKEN_INVALID' })
    })
  }
})

describe('report mode', () => {
  it('lets requests pass that it would refuse, and records them', async () => {
    await server.change(SHOP_POLICY, { ipWhitelist: { mode: 'report', ranges: ['192.0.2.0/24'] } })
    const response = await shop.send(route('connect'), json(CONNECT))
    expect(response.status).toBe(200)
    expect(server.sink.events().at(-1)).toMatchObject({
      outcome: 'answered',
      decisions: expect.arrayContaining([
        expect.objectContaining({ effect: 'deny', mode: 'report', code: 'ADDRESS_NOT_ALLOWED' }),
      ]),
    })
  })
})

describe('malformed input is answered with a 4xx problem document and never echoed', () => {
  const marker = 'zzz-marker'
  const cases: Record<string, [path: string, init: RequestInit]> = {
    'broken JSON': ['/auth/v2/connect', { ...json({}), body: `{"${marker}": ` }],
    'JSON that is a list': ['/auth/v2/connect', json([marker])],
    'JSON that is null': ['/auth/v2/connect', { ...json({}), body: 'null' }],
    'unknown names': ['/auth/v2/connect', json({ ...CONNECT, [marker]: marker })],
    XML: [
      '/auth/v2/connect',
      { method: 'POST', headers: { 'content-type': 'application/xml' }, body: `<${marker}/>` },
    ],
    'a wrong charset': [
      '/auth/v2/connect',
      { ...json(CONNECT), headers: { 'content-type': 'application/json; charset=latin1' } },
    ],
    'no content type': ['/auth/v2/connect', { method: 'POST', body: new Uint8Array([123]) }],
    'too much': ['/auth/v2/connect', json({ ...CONNECT, request_id: marker.repeat(50_000) })],
    'an unknown route': [`/auth/v2/${marker}`, {}],
    'an unknown route beside the API': [`/auth/${marker}`, {}],
    'a wrong method': ['/auth/v2/token', {}],
    'broken percent-encoding': ['/auth/v2/%E0%A4%A', {}],
    'a code that is a list': [
      '/auth/v2/token',
      json({ request_id: 'r', connect_id: ['x'], auth_code: { $gt: '' } }),
    ],
  }
  for (const [what, [path, init]] of Object.entries(cases)) {
    it(`as is ${what}`, async () => {
      const response = await shop.send(`${server.url}${path}`, init)
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(response.status).toBeLessThan(500)
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(await response.text()).not.toMatch(/zzz-marker|node_modules|\.ts:|\bat \S+:\d/)
    })
  }

  it('a megabyte of headers, without harming the server', async () => {
    const head = `GET ${new URL(route('connect')).pathname} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-app-id: shop\r\n`
    const text = `${head}Cookie: ${'a'.repeat(1_000_000)}\r\n\r\n`
    expect(await exchange(Number(new URL(server.url).port), text)).toMatch(/^HTTP\/1\.1 431 /)
    await connect()
  })
})
