import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttp2Server, connect, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  auditAccess,
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  protectServer,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type GuardRequest,
  type GuardResponse,
  type RequestHandler,
  type PolicyInput,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { portcullisFastify } from 'portcullis/fastify'
import { portcullisHono } from 'portcullis/hono'
import { KEY } from '../support/protected-app.ts'
import { fastify, getRequestListener, Hono, Koa, middie } from './modules.ts'

const ORIGIN = 'https://shop.example'
const URLS = 'https://shop.example/callback/'
const off = { mode: 'off' } as const
const enforce = { mode: 'enforce' } as const
const quiet = {
  serverOnly: off,
  ipWhitelist: off,
  domainProtect: off,
  returnUrlGuard: off,
  regionPin: off,
  auditAccess: enforce,
}
const apps: Readonly<Record<string, Partial<PolicyInput>>> = {
  server: { serverOnly: enforce },
  address: { ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] } },
  near: { ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8'] } },
  page: { domainProtect: { mode: 'enforce', domains: [ORIGIN] } },
  url: { returnUrlGuard: { mode: 'enforce', urls: [URLS] } },
  region: { regionPin: { mode: 'enforce', onMisdirected: 'redirect' } },
  secured: { serverOnly: enforce, auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } },
}

const sink = memoryAuditSink()
const policies = createPolicySource({
  store: memoryStore(
    Object.entries(apps).map(([appId, sections]) => ({
      policy: { appId, ...quiet, ...sections },
      // Two apps must not have the same key.
      keys: ['server', 'secured'].includes(appId) ? [{ ...KEY, id: appId, secret: secretOf(appId) }] : [],
    })),
  ),
})
function secretOf(appId: string): string {
  return Buffer.from(appId.padEnd(32, '.')).toString('base64')
}

const options = {
  policies,
  sink,
  nonces: memoryNonces(),
  here: 'dallas',
  country: () => 'DE',
  bases: { london: 'https://london.example', frankfurt: 'https://frankfurt.example' },
  returnUrl: [
    { query: 'return_url', optional: true, name: 'url' },
    { body: 'return_url', optional: true, name: 'url' },
  ],
} as const

const { sink: _sink, nonces, here, country, bases, returnUrl } = options
const shared = { policies }
/** The guards mounted individually, in the order of `protect()`. */
const oneByOne = (): RequestHandler[] => [
  auditAccess({ ...shared, sink }),
  regionPin({ ...shared, here, country, bases }),
  ipWhitelist(shared),
  domainProtect(shared),
  ...bodyParsers(),
  serverOnly({ ...shared, nonces }),
  returnUrlGuard({ ...shared, returnUrl }),
]

/** Runs handlers like a connect-style app. */
function run(
  guards: readonly RequestHandler[],
  req: GuardRequest,
  res: GuardResponse,
  done: (error?: unknown) => void,
) {
  const step = (index: number): void => {
    const guard = guards[index]
    if (guard === undefined) done()
    else guard(req, res, (error) => (error === undefined ? step(index + 1) : done(error)))
  }
  step(0)
}

const statusOf = (error: unknown): number => (error as { status?: number }).status ?? 500

const answer = (req: GuardRequest): object => ({
  app: req.portcullis?.appId,
  url: req.portcullis?.returnUrl,
  body: req.body as unknown,
})

function bare(guards: readonly RequestHandler[]): RequestListener {
  return (req, res) =>
    run(guards, req, res, (error) => {
      if (error !== undefined) res.statusCode = statusOf(error)
      res.setHeader('content-type', 'application/json')
      res.end(JSON.stringify(answer(req)))
    })
}

async function fastifyServer(set: (app: ReturnType<typeof fastify>) => Promise<void>): Promise<Server> {
  const app = fastify()
  await set(app)
  await app.ready()
  return app.server
}

const routes = (app: ReturnType<typeof fastify>): void => {
  for (const path of ['/login', '/login/*']) {
    app.all(path, (request) => ({
      app: request.portcullis?.appId,
      url: request.portcullis?.returnUrl,
      body: request.body,
    }))
  }
}

function koa(guards: readonly RequestHandler[]): RequestListener {
  const app = new Koa()
  app.on('error', () => undefined)
  app.use(async (ctx, next) => {
    const passed = await new Promise((resolve, reject) => {
      ctx.res.once('close', () => resolve(false))
      run(guards, ctx.req, ctx.res, (error) => (error === undefined ? resolve(true) : reject(error)))
    })
    if (passed === true) await next()
    else ctx.respond = false
  })
  app.use((ctx) => {
    ctx.body = answer(ctx.req)
  })
  return app.callback()
}

function hono(guards: RequestHandler | readonly RequestHandler[]): RequestListener {
  const app = new Hono()
  app.use('/*', portcullisHono(guards))
  app.all('/*', async (c) => {
    const { appId, returnUrl: url } = c.get('portcullis') as { appId?: string; returnUrl?: string }
    const text = await c.req.text()
    return c.json({ app: appId, url, body: text === '' ? undefined : (JSON.parse(text) as unknown) })
  })
  return getRequestListener(app.fetch)
}

function expressApp(guards: readonly RequestHandler[]): RequestListener {
  const app = express()
  app.use([...(guards as readonly express.RequestHandler[]), express.json()])
  app.use((req, res) => void res.json(answer(req)))
  app.use(
    ((error, _req, res, _next) => void res.status(statusOf(error)).end()) as express.ErrorRequestHandler,
  )
  return app
}

/** The servers under test, each on `http` or `http2`. */
const servers: Readonly<Record<string, () => Promise<Server | Http2Server>>> = {
  Express: async () => createServer(expressApp(oneByOne())),
  'Express, by protect()': async () => createServer(expressApp([protect(options)])),
  'Express behind protectServer()': async () => createServer(protectServer(expressApp([]), options)),
  'Express with guards again behind protectServer()': async () =>
    createServer(protectServer(expressApp(oneByOne().slice(1)), options)),
  'bare node:http': async () => createServer(bare(oneByOne())),
  'bare node:http, by protect()': async () => createServer(bare([protect(options)])),
  'node:http2': async () => createHttp2Server(bare(oneByOne()) as never),
  'node:http2 behind protectServer()': async () =>
    createHttp2Server(protectServer(bare([]) as never, options) as never),
  'Fastify, by its plugin': () =>
    fastifyServer(async (app) => {
      await app.register(portcullisFastify, { guards: oneByOne() })
      routes(app)
    }),
  'Fastify, by its plugin and protect()': () =>
    fastifyServer(async (app) => {
      await app.register(portcullisFastify, { guards: protect({ ...options, bodyReplay: true }) })
      routes(app)
    }),
  'Fastify, by its plugin below a prefix': () =>
    fastifyServer(async (app) => {
      const scope = async (inner: typeof app) => {
        await inner.register(portcullisFastify, { guards: protect(options) })
        inner.all('/', (request) => ({
          app: request.portcullis.appId,
          url: request.portcullis.returnUrl,
          body: request.body,
        }))
      }
      await app.register(scope, { prefix: '/login' })
    }),
  'Fastify, by middie': () =>
    fastifyServer(async (app) => {
      await app.register(middie)
      for (const guard of [
        ...oneByOne().slice(0, 4),
        ...bodyParsers({ replay: true }),
        ...oneByOne().slice(5),
      ])
        app.use(guard)
      app.all('/login', (request) => ({ ...answer(request.raw), body: request.body }))
    }),
  Koa: async () => createServer(koa(oneByOne())),
  'Hono on Node': async () => createServer(hono(oneByOne())),
  'Hono on Node, by protect()': async () => createServer(hono(protect(options))),
}

interface Ask {
  readonly method?: string
  readonly path?: string
  readonly app: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly sign?: boolean
  readonly framing?: 'chunked'
  /** Replaces the body after signing. */
  readonly sent?: string
}
interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: { code?: string; app?: string; url?: string; body?: unknown } | undefined
}

const JSON_TYPE = { 'content-type': 'application/json' }
const page = { origin: ORIGIN, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }
const stranger = { ...page, origin: 'https://evil.example' }
const asks = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-app-id' }
const good = `${URLS}done`
const json = (url: string): string => JSON.stringify({ return_url: url, more: 'x'.repeat(20_000) })

const table: readonly (readonly [what: string, ask: Ask, expected: object])[] = [
  [
    'a signed GET',
    { app: 'server', sign: true, path: '/login?a=1&b=%20' },
    { status: 200, body: { app: 'server' } },
  ],
  ['an unsigned GET', { app: 'server' }, { status: 401, body: { code: 'SIGNATURE_REQUIRED' } }],
  [
    'a signed POST of JSON',
    { app: 'server', method: 'POST', sign: true, headers: JSON_TYPE, body: '{"a":[1]}' },
    { status: 200, body: { app: 'server', body: { a: [1] } } },
  ],
  [
    'a signed POST of much JSON',
    { app: 'server', method: 'POST', sign: true, headers: JSON_TYPE, body: json('x') },
    { status: 200, body: { body: JSON.parse(json('x')) as unknown } },
  ],
  [
    'a POST of other JSON than was signed',
    { app: 'server', method: 'POST', sign: true, headers: JSON_TYPE, body: '{"a":1}', sent: '{"a":2}' },
    { status: 401, body: { code: 'DIGEST_MISMATCH' } },
  ],
  ['a signed POST of nothing', { app: 'server', method: 'POST', sign: true }, { status: 200 }],
  [
    'broken JSON',
    { app: 'server', method: 'POST', sign: true, headers: JSON_TYPE, body: '{"a"' },
    { status: 400 },
  ],
  [
    'an address outside of every range',
    { app: 'address' },
    { status: 403, body: { code: 'ADDRESS_NOT_ALLOWED' } },
  ],
  ['an address in a range', { app: 'near' }, { status: 200 }],
  [
    'a page of a listed origin',
    { app: 'page', headers: page },
    { status: 200, headers: { 'access-control-allow-origin': ORIGIN } },
  ],
  [
    'a page of another origin',
    { app: 'page', headers: stranger },
    {
      status: 403,
      headers: { 'access-control-allow-origin': '' },
      body: { code: 'ORIGIN_NOT_ALLOWED' },
    },
  ],
  [
    'the preflight of a page of a listed origin',
    { app: '', method: 'OPTIONS', headers: { ...page, ...asks } },
    { status: 204, headers: { 'access-control-allow-origin': ORIGIN } },
  ],
  [
    'the preflight of a page of another origin',
    { app: '', method: 'OPTIONS', headers: { ...stranger, ...asks } },
    { status: 403, headers: { 'access-control-allow-origin': '' } },
  ],
  [
    'a listed return URL in the query',
    { app: 'url', path: `/login?return_url=${encodeURIComponent(good)}` },
    { status: 200, body: { url: good } },
  ],
  [
    'another return URL in the query',
    { app: 'url', path: '/login?return_url=https%3A%2F%2Fevil.example%2F' },
    { status: 400, body: { code: 'RETURN_URL_NOT_ALLOWED' } },
  ],
  [
    'a listed return URL in the body',
    { app: 'url', method: 'POST', headers: JSON_TYPE, body: json(good) },
    { status: 200, body: { url: good, body: JSON.parse(json(good)) as unknown } },
  ],
  [
    'another return URL in the body',
    { app: 'url', method: 'POST', headers: JSON_TYPE, body: json('https://evil.example/') },
    { status: 400, body: { code: 'RETURN_URL_NOT_ALLOWED' } },
  ],
  [
    'a person of another region',
    { app: 'region' },
    {
      status: 307,
      headers: { location: expect.stringMatching(/^https:\/\/(london|frankfurt)\.example\/login\?/) },
    },
  ],
  ['nobody', { app: '' }, { status: 401, body: { code: 'APP_UNIDENTIFIED' } }],
]

async function headersOf(origin: string, ask: Ask): Promise<Record<string, string>> {
  const { method = 'GET', path = '/login', app, headers = {}, body, sign = false } = ask
  const given = { ...(app !== '' && { 'x-app-id': app }), ...headers }
  if (!sign) return given
  const message = { method, url: `${origin}${path}`, headers: given, ...(body !== undefined && { body }) }
  return signRequest(message, { keyId: app, secret: secretOf(app) })
}

async function overHttp1(origin: string, ask: Ask): Promise<Answered> {
  const { method = 'GET', path = '/login', body, sent = body } = ask
  const headers = await headersOf(origin, ask)
  const { request } = await import('node:http')
  return new Promise((resolve, reject) => {
    // With the http module, because fetch adds its own headers.
    const outgoing = request(`${origin}${path}`, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve(answered(response.statusCode ?? 0, response.headers as Answered['headers'], chunks)),
      )
    })
    outgoing.on('error', reject)
    if (ask.framing !== undefined) outgoing.setHeader('transfer-encoding', ask.framing)
    else if (method === 'POST') outgoing.setHeader('content-length', Buffer.byteLength(sent ?? ''))
    outgoing.end(sent)
  })
}

async function overHttp2(origin: string, ask: Ask): Promise<Answered> {
  const { method = 'GET', path = '/login', body, sent = body } = ask
  const headers = await headersOf(origin, ask)
  const session = connect(origin)
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request({ ...headers, ':method': method, ':path': path })
      let head: Record<string, unknown> = {}
      const chunks: Buffer[] = []
      stream.on('response', (received) => (head = received))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('end', () => resolve(answered(Number(head[':status']), head as Answered['headers'], chunks)))
      stream.end(sent)
    })
  } finally {
    session.close()
  }
}

function answered(status: number, headers: Answered['headers'], chunks: readonly Buffer[]): Answered {
  const text = Buffer.concat(chunks).toString()
  const isJson = /json/.test(headers['content-type'] ?? '')
  const cors = { 'access-control-allow-origin': '', ...headers }
  return {
    status,
    headers: cors,
    body: isJson && text !== '' ? (JSON.parse(text) as Answered['body']) : undefined,
  }
}

describe.each(Object.entries(servers))('%s', (name, serve) => {
  let server: Server | Http2Server
  let origin: string
  const send = name.startsWith('node:http2') ? overHttp2 : overHttp1

  beforeAll(async () => {
    server = await serve()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it.each(table)('answers %s', async (_what, ask, expected) => {
    const before = sink.events().length
    expect(await send(origin, ask)).toMatchObject(expected)
    if (ask.app === '' || ask.app === 'region') return
    const [event] = sink.events().slice(before)
    expect(event).toMatchObject({ kind: 'operation', appId: ask.app })
    expect((event as { decisions: readonly { guard: string }[] }).decisions[0]?.guard).toBe('auditAccess')
  })

  it('treats one empty chunk as no content', async () => {
    const before = sink.events().length
    // Fastify itself answers 415 to content without a type.
    await send(origin, { app: 'server', method: 'POST', sign: true, framing: 'chunked' })
    const [event] = sink.events().slice(before)
    const { decisions } = event as { decisions: readonly object[] }
    expect(decisions.at(-1)).toMatchObject({ guard: 'returnUrlGuard', effect: 'allow' })
  })

  it('stores the event before the answer if the policy requires it', async () => {
    const before = sink.events().length
    const ask = { app: 'secured', sign: true, method: 'POST', headers: JSON_TYPE, body: '{"a":1}' }
    expect(await send(origin, ask)).toMatchObject({ status: 200, body: { body: { a: 1 } } })
    expect(sink.events().slice(before)).toMatchObject([{ outcome: 'answered', status: 200 }])
  })
})

it('Fastify reports wrong options in its own way', async () => {
  const app = fastify()
  void app.register(portcullisFastify, { guards: [] })
  await expect(app.ready()).rejects.toThrow(/`portcullisFastify\.guards` must be a guard/)
})
