import type { Server } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import request, { type Response } from 'supertest'
import {
  appIdFrom,
  auditAccess,
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type PolicySource,
  type InitialApp,
  type PolicyInput,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

const OURS = 'https://example.org'
const EVIL = 'https://evil.example'
const LISTED = { mode: 'enforce', domains: [OURS] } as const
type Settings = Partial<PolicyInput['domainProtect']>
const appId = appIdFrom({ query: 'app' })
const PATH = `/?app=${APP}`

/** The CORS headers and `Vary` of a response, one text per line. */
function corsOf({ headers }: Pick<Response, 'headers'>): string[] {
  return Object.entries(headers as Record<string, string>)
    .filter(([name]) => name.startsWith('access-control-') || name === 'vary')
    .map(([name, value]) => `${name}: ${value}`)
    .sort()
}

const preflight = (app: Express | string, path: string, origin: string, asked: Record<string, string> = {}) =>
  request(app)
    .options(path)
    .set({ origin, 'access-control-request-method': 'PUT', ...asked })

const VARY_OF_PREFLIGHT = 'vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

describe('the settings of an app', () => {
  const mounted = (settings: Settings) =>
    protectedApp({ domainProtect: { ...LISTED, ...settings } }, (policies) => [
      domainProtect({ policies, appId }),
    ])

  const answers: [string, Settings, Record<string, string>, string[]][] = [
    [
      'nothing is written, and nothing is asked for',
      {},
      {},
      ['access-control-allow-methods: GET,HEAD,PUT,PATCH,POST,DELETE'],
    ],
    [
      'nothing is written: what is asked for',
      {},
      { 'access-control-request-headers': 'content-type,x-app-id' },
      [
        'access-control-allow-headers: content-type,x-app-id',
        'access-control-allow-methods: GET,HEAD,PUT,PATCH,POST,DELETE',
      ],
    ],
    [
      'everything is written',
      {
        methods: ['GET', 'PUT'],
        headers: ['x-app-id', 'content-type'],
        exposedHeaders: ['etag'],
        credentials: true,
        maxAge: 600,
      },
      { 'access-control-request-headers': 'x-other' },
      [
        'access-control-allow-credentials: true',
        'access-control-allow-headers: x-app-id,content-type',
        'access-control-allow-methods: GET,PUT',
        'access-control-max-age: 600',
      ],
    ],
    ['no method and no header', { methods: [], headers: [], maxAge: 0 }, {}, ['access-control-max-age: 0']],
    [
      'a private network is asked for, which is never granted',
      { methods: ['GET'] },
      { 'access-control-request-private-network': 'true', 'access-control-request-local-network': 'true' },
      ['access-control-allow-methods: GET'],
    ],
  ]
  for (const [what, settings, asked, lines] of answers) {
    it(`answers a preflight when ${what}`, async () => {
      const { app, reached } = mounted(settings)
      const response = await preflight(app, PATH, OURS, asked)
      expect([response.status, response.text]).toEqual([204, ''])
      expect(response.headers['content-length']).toBe('0')
      expect(corsOf(response)).toEqual(
        [...lines, `access-control-allow-origin: ${OURS}`, VARY_OF_PREFLIGHT].sort(),
      )
      expect(reached).toEqual([])
    })
  }

  const asked: [string, string, string | undefined][] = [
    ['a list with spaces', 'X-App-Id , content-type', 'X-App-Id,content-type'],
    ['empty elements', ',,x-a,,', 'x-a'],
    ['a line feed in a name', 'x-a%0d%0aset-cookie', 'x-a%0d%0aset-cookie'],
    ['quotes', 'x-a, "x-b"', undefined],
    ['a name with a space', 'x-a x-b', undefined],
    ['a name with a colon', 'x-a: 1', undefined],
    ['more than a page sends', Array.from({ length: 1_000 }, (_, index) => `x-${index}`).join(), undefined],
    ['nothing but commas', ','.repeat(4_097), undefined],
  ]
  for (const [what, text, granted] of asked) {
    it(`grants ${granted ?? 'none'} of the requested headers: ${what}`, async () => {
      const response = await preflight(mounted({}).app, PATH, OURS, {
        'access-control-request-headers': text,
      })
      expect([response.status, response.headers['access-control-allow-headers']]).toEqual([204, granted])
    })
  }

  it('grants nothing to a page of a foreign origin, in particular not X-Origin', async () => {
    for (const settings of [{}, { headers: ['x-origin'] }]) {
      const response = await preflight(mounted(settings).app, PATH, EVIL, {
        'access-control-request-headers': 'x-origin',
      })
      expect([response.status, corsOf(response)]).toEqual([403, [VARY_OF_PREFLIGHT]])
    }
  })

  it('tells a page which headers it may read, and whether it may send credentials', async () => {
    const { app } = mounted({
      exposedHeaders: ['etag', 'x-page'],
      credentials: true,
      maxAge: 60,
      headers: ['x-a'],
    })
    expect(corsOf(await request(app).get(PATH).set({ origin: OURS }))).toEqual([
      'access-control-allow-credentials: true',
      `access-control-allow-origin: ${OURS}`,
      'access-control-expose-headers: etag,x-page',
      'vary: Origin',
    ])
  })

  it('refuses an unlisted method across origins, even without a preflight, and the page can read the reason', async () => {
    const { app, reached } = mounted({ methods: ['GET', 'PUT'] })
    for (const method of ['get', 'put'] as const)
      await request(app)[method](PATH).set({ origin: OURS }).expect(200)
    for (const method of ['post', 'delete', 'options'] as const) {
      const response = await request(app)[method](PATH).set({ origin: OURS })
      expect([response.status, response.body.code]).toEqual([403, 'METHOD_NOT_ALLOWED'])
      expect(response.headers['access-control-allow-origin']).toBe(OURS)
      // A foreign origin gets the same answer, whatever it does.
      const foreign = await request(app)[method](PATH).set({ origin: EVIL })
      expect(foreign.body.code).toBe('ORIGIN_NOT_ALLOWED')
    }
    expect(reached).toEqual([`GET ${PATH}`, `PUT ${PATH}`])
  })

  it("does not restrict the methods of servers and of the gateway's own pages", async () => {
    const { app } = mounted({ methods: [], domains: ['http://gateway.example'] })
    const own = { host: 'gateway.example', origin: 'http://gateway.example' }
    await request(app).post(PATH).set({ 'x-origin': 'http://gateway.example' }).expect(200)
    await request(app).post(PATH).set(own).expect(200)
    await request(app)
      .delete(PATH)
      .set({ ...own, 'sec-fetch-site': 'same-origin' })
      .expect(200)
    await request(app)
      .post(PATH)
      .set({ ...own, host: 'other.example' })
      .expect(403)
  })

  it('treats a look-alike of a preflight as a request: it is judged, and reaches the handler', async () => {
    const { app, reached } = mounted({})
    const asks = { origin: OURS, 'access-control-request-method': 'PUT' }
    await request(app).post(PATH).set(asks).expect(200)
    await request(app).options(PATH).set({ origin: OURS }).expect(200)
    await request(app).options(PATH).set({ 'access-control-request-method': 'PUT' }).expect(403)
    await request(app)
      .post(PATH)
      .set({ ...asks, origin: EVIL })
      .expect(403)
    expect(reached).toHaveLength(2)
  })
})

describe('a preflight that names no app', () => {
  const policyOf = (id: string, settings: Settings, domains = [OURS]): InitialApp => ({
    policy: { appId: id, domainProtect: { mode: 'enforce', domains, ...settings } },
  })
  const answered = async (...apps: InitialApp[]): Promise<string[]> => {
    const policies = createPolicySource({ store: memoryStore(apps) })
    const response = await preflight(
      express().use(domainProtect({ policies }) as RequestHandler),
      '/',
      OURS,
      {
        'access-control-request-headers': 'x-asked',
      },
    )
    expect(response.status).toBe(204)
    return corsOf(response).filter((line) => !/allow-origin|vary/.test(line))
  }

  it('is answered with the settings of the only app that has the origin', async () => {
    const other = policyOf('b', { methods: ['DELETE'], credentials: true }, ['https://*.example.org', EVIL])
    expect(await answered(policyOf('a', { methods: ['GET'], headers: ['x-a'], maxAge: 9 }), other)).toEqual([
      'access-control-allow-headers: x-a',
      'access-control-allow-methods: GET',
      'access-control-max-age: 9',
    ])
  })

  it('is answered with the settings of several apps combined, for the shortest of their lifetimes', async () => {
    const a = policyOf('a', { methods: ['GET'], headers: ['x-a'], maxAge: 600 })
    const b = policyOf('b', { methods: ['PUT', 'GET'], headers: ['x-b'], credentials: true, maxAge: 5 })
    expect(await answered(a, b)).toEqual([
      'access-control-allow-credentials: true',
      'access-control-allow-headers: x-a,x-b',
      'access-control-allow-methods: GET,PUT',
      'access-control-max-age: 5',
    ])
    expect(await answered(a, policyOf('b', {}))).toEqual([
      'access-control-allow-headers: x-asked',
      'access-control-allow-methods: GET,HEAD,PUT,PATCH,POST,DELETE',
    ])
  })

  it('only permits the request, which is judged by its own app, as is what a page may read', async () => {
    const policies = createPolicySource({
      store: memoryStore([
        policyOf('a', { methods: ['GET'] }),
        policyOf('b', { credentials: true, exposedHeaders: ['etag'] }),
      ]),
    })
    const app = express().use(domainProtect({ policies }) as RequestHandler, (_req, res) => void res.json({}))
    const put = (id: string) => request(app).put('/').set({ origin: OURS, 'x-app-id': id })
    expect((await put('a')).body.code).toBe('METHOD_NOT_ALLOWED')
    expect((await put('b')).status).toBe(200)
    const read = await request(app).get('/').set({ origin: OURS, 'x-app-id': 'a' })
    expect(corsOf(read)).toEqual([`access-control-allow-origin: ${OURS}`, 'vary: Origin'])
  })

  it('is answered in any mode of its app, which is not known yet', async () => {
    for (const mode of ['report', 'off'] as const) {
      expect(await answered(policyOf('a', { mode, methods: ['GET'] }))).toEqual([
        'access-control-allow-headers: x-asked',
        'access-control-allow-methods: GET',
      ])
    }
  })

  it('is answered for the readable apps, and with 503 if the only one is unreadable', async () => {
    const memory = memoryStore([
      policyOf('a', {}),
      policyOf('b', { credentials: true }),
      policyOf('c', {}, [EVIL]),
    ])
    const broken = new Set(['b'])
    const policies = createPolicySource({
      store: {
        ...memory,
        read: async (id) => (broken.has(id) ? Promise.reject(new Error('damaged')) : memory.read(id)),
      },
    })
    const app = express().use(domainProtect({ policies }) as RequestHandler)
    const response = await preflight(app, '/', OURS)
    expect([response.status, response.headers['access-control-allow-credentials']]).toEqual([204, undefined])
    broken.add('c')
    const none = await preflight(app, '/', EVIL)
    expect([none.status, none.body.code, corsOf(none)]).toEqual([
      503,
      'POLICY_UNAVAILABLE',
      [VARY_OF_PREFLIGHT],
    ])
    await preflight(app, '/', 'https://third.example').expect(403)
  })
})

describe('two mounts in one application', () => {
  const store = (id: string, settings: PolicyInput['domainProtect']): PolicySource =>
    createPolicySource({ store: memoryStore([{ policy: { appId: id, domainProtect: settings } }]) })
  const a = store('a', { mode: 'enforce', domains: ['https://a.example', OURS], credentials: true })
  const b = store('b', { mode: 'enforce', domains: ['https://b.example', OURS], exposedHeaders: ['etag'] })
  const done: RequestHandler = (_req, res) => void res.json({})

  it('are independent on two paths', async () => {
    const app = express()
      .use('/a', domainProtect({ policies: a }) as RequestHandler, done)
      .use('/b', domainProtect({ policies: b }) as RequestHandler, done)
    for (const [path, id, other] of [
      ['/a', 'a', 'b'],
      ['/b', 'b', 'a'],
    ] as const) {
      await preflight(app, path, `https://${id}.example`).expect(204)
      await preflight(app, path, `https://${other}.example`).expect(403)
      await request(app)
        .get(path)
        .set({ origin: `https://${id}.example`, 'x-app-id': id })
        .expect(200)
      await request(app)
        .get(path)
        .set({ origin: `https://${other}.example`, 'x-app-id': id })
        .expect(403)
      await request(app)
        .get(path)
        .set({ origin: `https://${other}.example`, 'x-app-id': other })
        .expect(401)
    }
  })

  it('grant on one path only what both grant, and a refusal of the second removes the grants of the first', async () => {
    const guards = [
      domainProtect({ policies: a, appId: () => 'a' }),
      domainProtect({ policies: b, appId: () => 'b' }),
    ] as RequestHandler[]
    for (const order of [guards, guards.toReversed()]) {
      const app = express().use(order, done)
      expect(corsOf(await request(app).get('/').set({ origin: OURS }))).toEqual([
        `access-control-allow-origin: ${OURS}`,
        'vary: Origin',
      ])
      for (const origin of ['https://a.example', 'https://b.example']) {
        const refused = await request(app).get('/').set({ origin })
        expect([refused.status, corsOf(refused)]).toEqual([403, ['vary: Origin']])
      }
    }
  })
})

describe('a refusal', () => {
  const sections = {
    serverOnly: { mode: 'enforce' },
    ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] },
    returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
    regionPin: { mode: 'enforce', onMisdirected: 'redirect' },
    auditAccess: { mode: 'enforce' },
  } satisfies Partial<PolicyInput>
  type Make = (policies: PolicySource) => unknown
  const others: [string, number, Make][] = [
    ['ipWhitelist', 403, (policies) => ipWhitelist({ policies })],
    ['returnUrlGuard', 400, (policies) => returnUrlGuard({ policies, returnUrl: () => `${EVIL}/` })],
    ['serverOnly', 403, (policies) => serverOnly({ policies, nonces: memoryNonces() })],
    ['regionPin', 403, (policies) => regionPin({ policies, here: 'dallas', country: () => undefined })],
    [
      'regionPin, by a redirect',
      307,
      (policies) =>
        regionPin({
          policies,
          here: 'dallas',
          country: () => 'DE',
          bases: { frankfurt: 'https://fra.example' },
        }),
    ],
    [
      'auditAccess',
      503,
      (policies) => auditAccess({ policies, sink: { write: async () => Promise.reject(new Error('down')) } }),
    ],
  ]
  const domain: Make = (policies) => domainProtect({ policies })

  for (const [name, status, make] of others) {
    for (const [place, guards] of [
      ['before', [make, domain]],
      ['behind', [domain, make]],
    ] as const) {
      const mounted = (domainSection: PolicyInput['domainProtect']) =>
        protectedApp(
          domainSection === undefined ? sections : { ...sections, domainProtect: domainSection },
          (policies) => guards.map((guard) => guard(policies)),
        )

      it(`of ${name} mounted ${place} is readable by a page of an allowed origin`, async () => {
        const { app } = mounted({ ...LISTED, exposedHeaders: ['etag'], credentials: true })
        const response = await request(app).get('/').set({ 'x-app-id': APP, origin: OURS })
        expect(response.status).toBe(status)
        expect(corsOf(response)).toEqual([
          'access-control-allow-credentials: true',
          `access-control-allow-origin: ${OURS}`,
          'access-control-expose-headers: etag,x-request-id,retry-after',
          'vary: Origin',
        ])
        expect(response.headers['cache-control']).toBe('no-store')
      })

      it(`of ${name} mounted ${place} has no CORS header for a foreign origin or without an origin`, async () => {
        const { app, reached } = mounted(LISTED)
        for (const headers of [{ origin: EVIL }, { origin: 'null' }, { origin: '' }, {}]) {
          const response = await request(app)
            .get('/')
            .set({ 'x-app-id': APP, ...headers })
          expect(response.status).toBeGreaterThanOrEqual(300)
          expect(corsOf(response)).toEqual(['vary: Origin'])
          expect(response.headers['cache-control']).toBe('no-store')
        }
        expect(reached).toEqual([])
      })

      // If its section is missing, domainProtect itself refuses.
      for (const mode of ['report', 'off', ...(place === 'before' ? [undefined] : [])] as const) {
        it(`of ${name} mounted ${place} is not touched while domainProtect is ${mode ?? 'missing'}`, async () => {
          const { app } = mounted(mode === undefined ? undefined : { ...LISTED, mode, credentials: true })
          const response = await request(app).get('/').set({ 'x-app-id': APP, origin: OURS })
          expect(response.status).toBe(status)
          expect(corsOf(response)).toEqual([])
        })
      }
    }
  }

  it('names no origin if the app is unknown or cannot be loaded', async () => {
    const missing = createPolicySource({ store: memoryStore() })
    const down = createPolicySource({ store: { read: async () => Promise.reject(new Error('down')) } })
    for (const [policies, status] of [
      [missing, 401],
      [down, 503],
    ] as const) {
      for (const guard of [domainProtect({ policies }), ipWhitelist({ policies })] as RequestHandler[]) {
        const response = await request(express().use(guard)).get('/').set({ origin: OURS, 'x-app-id': APP })
        expect(response.status).toBe(status)
        expect(corsOf(response).filter((line) => !line.startsWith('vary'))).toEqual([])
      }
    }
  })

  it('removes what other middleware granted to a foreign origin, and extends its Vary', async () => {
    const generous: RequestHandler = (_req, res, next) => {
      res.set({
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
        vary: 'Accept-Encoding, origin',
      })
      next()
    }
    const { app } = protectedApp({ domainProtect: LISTED }, (policies) => [
      generous,
      domainProtect({ policies }),
    ])
    const refused = await request(app).get('/').set({ 'x-app-id': APP, origin: EVIL })
    expect(corsOf(refused)).toEqual(['vary: Accept-Encoding, origin'])
    const allowed = await request(app).get('/').set({ 'x-app-id': APP, origin: OURS })
    expect(corsOf(allowed)).toEqual([`access-control-allow-origin: ${OURS}`, 'vary: Accept-Encoding, origin'])
    const asked = await preflight(app, '/', OURS)
    expect(corsOf(asked)).toContain(
      'vary: Accept-Encoding, origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    )
  })

  it("by the application's onDeny is readable too", async () => {
    const { app } = protectedApp({ domainProtect: LISTED, ipWhitelist: { mode: 'enforce' } }, (policies) => [
      ipWhitelist({ policies, onDeny: (_decision, _req, res) => res.writeHead(418).end('tea') }),
    ])
    const response = await request(app).get('/').set({ 'x-app-id': APP, origin: OURS })
    expect([response.status, response.headers['access-control-allow-origin']]).toEqual([418, OURS])
  })

  it('by any of the six guards is readable', async () => {
    const policy = { ...sections, domainProtect: LISTED }
    const { app } = protectedApp(policy, (policies) => [
      ...bodyParsers(),
      protect({
        policies,
        sink: { write: async () => undefined },
        nonces: memoryNonces(),
        here: 'dallas',
        country: () => 'US',
        returnUrl: () => undefined,
      }),
    ])
    const response = await request(app).post('/').set({ 'x-app-id': APP, origin: OURS }).send({})
    expect([response.body.code, response.headers['access-control-allow-origin']]).toEqual([
      'ADDRESS_NOT_ALLOWED',
      OURS,
    ])
  })
})

describe('an error of the handler', () => {
  const failing: RequestHandler = (_req, _res, next) => next(new Error('of the handler'))
  const answers: [string, ErrorRequestHandler[], number][] = [
    ['that nobody handles', [], 500],
    [
      'that an error handler answers',
      [(_error, _req, res, _next) => void res.status(502).json({ sorry: true })],
      502,
    ],
    [
      'that an error handler answers with writeHead',
      [(_e, _req, res, _next) => res.writeHead(502).end()],
      502,
    ],
  ]
  for (const [what, handlers, status] of answers) {
    it(`${what} keeps the CORS headers, so that the page can read it`, async () => {
      const { app } = protectedApp(
        { domainProtect: { ...LISTED, exposedHeaders: ['etag'], credentials: true } },
        (policies) => [domainProtect({ policies })],
        failing,
      )
      app.set('env', 'test')
      for (const handler of handlers) app.use(handler)
      const response = await request(app).get('/').set({ 'x-app-id': APP, origin: OURS })
      expect(response.status).toBe(status)
      expect(corsOf(response)).toEqual([
        'access-control-allow-credentials: true',
        `access-control-allow-origin: ${OURS}`,
        'access-control-expose-headers: etag',
        'vary: Origin',
      ])
    })
  }

  it('of a missing route keeps them too', async () => {
    const policies = createPolicySource({
      store: memoryStore([{ policy: { appId: APP, domainProtect: LISTED } }]),
    })
    const app = express().use(domainProtect({ policies }) as RequestHandler)
    const response = await request(app).get('/nowhere').set({ 'x-app-id': APP, origin: OURS })
    expect([response.status, response.headers['access-control-allow-origin']]).toEqual([404, OURS])
  })
})

describe('X-Origin of a server that signs', () => {
  const sections = { serverOnly: { mode: 'enforce' }, domainProtect: LISTED } as const
  const mounted = () =>
    protectedApp(sections, (policies) => [
      ...bodyParsers(),
      serverOnly({ policies, nonces: memoryNonces() }),
      domainProtect({ policies }),
    ])

  async function send(
    server: string,
    signed: Record<string, string>,
    changed: Record<string, string | undefined> = {},
  ): Promise<Response> {
    const url = new URL('/connect', server)
    const message = { method: 'GET', url: url.href, headers: { 'x-app-id': APP, ...signed } }
    const signature = await signRequest(message, { keyId: KEY.id, secret: KEY.secret })
    const headers: Record<string, string | undefined> = { ...message.headers, ...signature, ...changed }
    const kept = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
    return request(server).get('/connect').set(Object.fromEntries(kept))
  }

  const cases: [
    string,
    Record<string, string>,
    Record<string, string | undefined>,
    number,
    string | undefined,
  ][] = [
    ['signed', { 'x-origin': OURS }, {}, 200, undefined],
    ['signed, of a stranger', { 'x-origin': EVIL }, {}, 403, 'ORIGIN_NOT_ALLOWED'],
    ['changed on the way', { 'x-origin': EVIL }, { 'x-origin': OURS }, 401, 'SIGNATURE_INVALID'],
    ['added on the way', {}, { 'x-origin': OURS }, 401, 'SIGNATURE_INVALID'],
    ['taken away on the way', { 'x-origin': OURS }, { 'x-origin': undefined }, 401, 'SIGNATURE_INVALID'],
    ['not sent', {}, {}, 403, 'ORIGIN_REQUIRED'],
    ['under another name', {}, { X_Origin: OURS }, 403, 'ORIGIN_REQUIRED'],
  ]
  for (const [what, signed, changed, status, code] of cases) {
    it(`${what}: ${code ?? 'admitted'}`, async () => {
      const { app, reached } = mounted()
      await listening(app, async (origin: string, _server: Server) => {
        const response = await send(origin, signed, changed)
        expect([response.status, response.body.code]).toEqual([status, code])
      })
      expect(reached).toHaveLength(status === 200 ? 1 : 0)
    })
  }
})
