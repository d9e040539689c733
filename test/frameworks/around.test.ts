import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import {
  auditAccess,
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  returnUrlGuard,
  serverOnly,
  type PolicyInput,
} from 'portcullis'
import type { AuditEvent, AuditSink } from 'portcullis/audit'
import { signRequest } from 'portcullis/client'
import { repository } from '../support/commands.ts'
import { APP, KEY } from '../support/protected-app.ts'
import { WebSocket } from './modules.ts'

/** Packages around the guards: rightful calls pass whole, wrongful ones are refused, and each is one event. */

const load = createRequire(join(repository, 'test', 'frameworks', 'package.json'))
type Make = (...options: unknown[]) => RequestHandler
const make = (name: string): Make => load(name) as Make

const ORIGIN = 'https://shop.example'
const enforce = { mode: 'enforce' } as const
const policy: PolicyInput = {
  appId: APP,
  serverOnly: enforce,
  ipWhitelist: { ...enforce, ranges: ['127.0.0.0/8'] },
  domainProtect: { ...enforce, domains: [ORIGIN] },
  returnUrlGuard: { ...enforce, urls: [`${ORIGIN}/callback/`] },
  auditAccess: { ...enforce, onSinkFailure: 'deny' },
}
const page: PolicyInput = { ...policy, appId: 'page', serverOnly: { mode: 'off' } }
const far: PolicyInput = { ...page, appId: 'far', ipWhitelist: { ...enforce, ranges: ['203.0.113.0/24'] } }
const store = memoryStore([{ policy, keys: [KEY] }, { policy: page }, { policy: far }])
const policies = createPolicySource({ store })

const rejections: unknown[] = []
const note = (error: unknown): void => void rejections.push(error)
process.on('unhandledRejection', note)
const servers: Server[] = []
afterAll(async () => {
  process.off('unhandledRejection', note)
  policies.close()
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listen(listener: RequestListener): Promise<[origin: string, server: Server]> {
  const server = createServer(listener)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return [`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server]
}

interface Kit {
  readonly guards: RequestHandler[]
  readonly events: AuditEvent[]
}

type Reading = NonNullable<Parameters<typeof bodyParsers>[0]> & { readonly streamed?: boolean }

/** The guards with a sink that answers later, so that every response is held. */
function kit({ streamed = false, ...parsers }: Reading = {}): Kit {
  const events: AuditEvent[] = []
  const sink: AuditSink = {
    async write(given) {
      await sleep(2)
      events.push(...given)
    },
  }
  const shared = { policies }
  const guards: RequestHandler[] = [
    auditAccess({ ...shared, sink, sinkTimeout: 5_000 }),
    ipWhitelist(shared),
    domainProtect(shared),
    bodyParsers(parsers),
    serverOnly({ ...shared, nonces: memoryNonces(), streamed }),
    returnUrlGuard({ ...shared, returnUrl: { query: 'return_url', optional: true } }),
  ]
  return { guards, events }
}

interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Replaces the body behind the signature. */
  readonly sent?: string
  readonly unsigned?: boolean
}
interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

async function send(origin: string, ask: Ask): Promise<Answer> {
  const { method = 'GET', path = '/auth/me', body, sent = body, headers = {} } = ask
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const given = { 'x-app-id': APP, 'x-origin': ORIGIN, ...type, ...headers }
  const message = { method, url: origin + path, headers: given, ...(body !== undefined && { body }) }
  const key = { keyId: KEY.id, secret: KEY.secret }
  const all = ask.unsigned === true ? given : await signRequest(message, key)
  const outgoing = request(origin + path, { method, headers: all, agent: false })
  if (sent !== undefined) outgoing.setHeader('content-length', Buffer.byteLength(sent))
  outgoing.end(sent)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  const bytes = await buffer(response)
  const plain = response.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
  return { status: response.statusCode ?? 0, text: plain.toString(), headers: response.headers }
}

const codeOf = ({ status, text }: Answer): unknown[] => [status, (JSON.parse(text) as { code?: string }).code]

async function lastOf(events: readonly AuditEvent[], before: number): Promise<unknown[]> {
  for (let tries = 0; events.length === before && tries < 400; tries += 1) await sleep(5)
  await sleep(10) // a second event would be one too many
  return events
    .slice(before)
    .map((event) =>
      event.kind === 'operation' ? [event.operation, event.outcome, event.status] : [event.kind],
    )
}

const answer: RequestHandler = (req, res) => void res.json({ ok: true, body: (req.body as unknown) ?? null })
const fail: ErrorRequestHandler = (error: { status?: number; code?: string }, _req, res, next) => {
  if (res.headersSent) next(error)
  else res.status(error.status ?? 500).json({ code: error.code })
}
const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

const BODY = JSON.stringify({ text: '\u00fc', more: 'x'.repeat(70_000) })
const URL_OK = `/auth/me?return_url=${encodeURIComponent(`${ORIGIN}/callback/x`)}`
const calls: [what: string, ask: Ask, status: number, code?: string][] = [
  ['a signed GET', { path: URL_OK }, 200],
  ['a signed POST', { method: 'POST', body: BODY }, 200],
  ['an unsigned GET', { unsigned: true }, 401, 'SIGNATURE_REQUIRED'],
  ['an unsigned POST', { method: 'POST', body: BODY, unsigned: true }, 401, 'SIGNATURE_REQUIRED'],
  ['a changed POST', { method: 'POST', body: '{"a":1}', sent: '{"a":2}' }, 401, 'DIGEST_MISMATCH'],
  [
    'another return URL',
    { path: '/auth/me?return_url=https%3A%2F%2Fevil.example%2F' },
    400,
    'RETURN_URL_NOT_ALLOWED',
  ],
  ['another origin', { headers: { 'x-origin': 'https://evil.example' } }, 403, 'ORIGIN_NOT_ALLOWED'],
]

const packages: Readonly<Record<string, () => RequestHandler>> = {
  compression: () => make('compression')({ threshold: 0 }),
  morgan: () => make('morgan')('combined', { stream: nowhere() }),
  'pino-http': () => make('pino-http')({}, nowhere()),
  'express-session': () =>
    make('express-session')({ secret: 's', resave: true, saveUninitialized: true, rolling: true }),
  'cookie-session': () => make('cookie-session')({ keys: ['k'] }),
  'connect-timeout': () => make('connect-timeout')('5s'),
  'response-time': () => make('response-time')(),
  'express-rate-limit': () => (load('express-rate-limit') as { rateLimit: Make }).rateLimit({ limit: 99 }),
  'express-fileupload': () => make('express-fileupload')(),
  'method-override': () => make('method-override')('_method'),
}

describe.each(Object.entries(packages))('%s', (_name, build) => {
  it.each(['before', 'after'])('stands %s the guards', async (place) => {
    const { guards, events } = kit()
    const app = express().set('env', 'test')
    if (place === 'before') app.use(build())
    app.use('/auth', ...guards)
    if (place === 'after') app.use(build())
    app.all('/auth/me', answer)
    const [origin] = await listen(app)
    for (const [what, ask, status, code] of calls) {
      const before = events.length
      const headers = { 'accept-encoding': 'gzip', ...ask.headers }
      const got = await send(origin, { ...ask, headers })
      const { method = 'GET', body } = ask
      if (code === undefined) {
        const parsed: unknown = body === undefined ? null : JSON.parse(body)
        expect([what, got.status, JSON.parse(got.text)]).toEqual([what, 200, { ok: true, body: parsed }])
      } else expect([what, ...codeOf(got)]).toEqual([what, status, code])
      const [path, outcome] = code === undefined ? ['/auth/me', 'answered'] : ['/auth', 'refused']
      expect(await lastOf(events, before)).toEqual([[`${method} ${path}`, outcome, status]])
    }
  })
})

it('connect-timeout answers in place of a slow handler', async () => {
  const { guards, events } = kit()
  const slow: RequestHandler = (req, res) =>
    void setTimeout(() => (req as { timedout?: boolean }).timedout === true || res.end('late'), 200)
  const app = express().use('/auth', ...guards, make('connect-timeout')('50ms'))
  app.get('/auth/me', slow).use(fail)
  const [origin] = await listen(app)
  expect((await send(origin, {})).status).toBe(503)
  expect(await lastOf(events, 0)).toEqual([['GET /auth/me', 'answered', 503]])
})

it('express-rate-limit answers behind the guards', async () => {
  const { guards, events } = kit()
  const { rateLimit } = load('express-rate-limit') as { rateLimit: Make }
  const app = express().use('/auth', ...guards, rateLimit({ limit: 1 }))
  const [origin] = await listen(app.get('/auth/me', answer))
  expect((await send(origin, {})).status).toBe(200)
  const before = events.length
  expect((await send(origin, {})).status).toBe(429)
  expect(await lastOf(events, before)).toEqual([['GET /auth', 'answered', 429]])
})

describe('method-override', () => {
  const ways: [way: string, getter: unknown, ask: Ask][] = [
    ['a parameter of the query', '_method', { path: '/auth/me?_method=DELETE' }],
    [
      'a member of the body',
      (req: { body?: { instead?: string } }) => req.body?.instead,
      { body: '{"instead":"DELETE"}' },
    ],
    ['a header', 'X-HTTP-Method-Override', { headers: { 'x-http-method-override': 'DELETE' } }],
  ]
  it.each(ways)('reads %s, which is signed', async (_way, getter, ask) => {
    for (const place of ['before serverOnly', 'behind the guards']) {
      const { guards, events } = kit()
      const at = place === 'before serverOnly' ? 4 : guards.length
      const app = express().use('/auth', ...guards.toSpliced(at, 0, make('method-override')(getter)))
      const [origin] = await listen(app.delete('/auth/me', answer))
      expect([place, (await send(origin, { method: 'POST', ...ask })).status]).toEqual([place, 200])
      expect(await lastOf(events, 0)).toEqual([['DELETE /auth/me', 'answered', 200]])
    }
  })
})

describe('a package that reads the body', () => {
  it.each([false, true])('graphql-http gets it (replay: %s)', async (replay) => {
    const { guards } = kit({ replay })
    const { buildSchema } = load('graphql') as { buildSchema(text: string): unknown }
    const { createHandler } = load('graphql-http/lib/use/express') as { createHandler: Make }
    const schema = buildSchema('type Query { say(text: String): String }')
    const rootValue = { say: ({ text }: { text: string }) => text }
    const app = express().use('/auth', ...guards)
    const [origin] = await listen(app.all('/auth/me', createHandler({ schema, rootValue })))
    const body = JSON.stringify({ query: '{ say(text: "\u00fc") }' })
    expect(await send(origin, { method: 'POST', body })).toMatchObject({
      status: 200,
      text: '{"data":{"say":"\u00fc"}}',
    })
  })

  it.each([false, true])('express-http-proxy passes it on (replay: %s)', async (replay) => {
    const [backend] = await listen((req, res) => void buffer(req).then((bytes) => res.end(bytes)))
    const { guards, events } = kit({ replay })
    const app = express().use('/auth', ...guards, make('express-http-proxy')(backend))
    const [origin] = await listen(app)
    expect(await send(origin, { method: 'POST', body: BODY })).toMatchObject({ status: 200, text: BODY })
    expect(await lastOf(events, 0)).toEqual([['POST /auth', 'answered', 200]])
  })

  const mark = 'boundary'
  const file = 'z'.repeat(90_000)
  const form = (content: string): string =>
    `--${mark}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n` +
    `Content-Type: application/octet-stream\r\n\r\n${content}\r\n--${mark}--\r\n`
  type Files = { readonly file: { readonly size: number }[] & { readonly size: number } }
  const readers: Readonly<Record<string, () => RequestHandler[]>> = {
    'express-fileupload': () => [
      make('express-fileupload')(),
      (req, res) => void res.json((req as unknown as { files: Files }).files.file.size),
    ],
    formidable: () => [
      (req, res, next) => {
        const { default: formidable } = load('formidable') as {
          default(): { parse(req: unknown): Promise<[unknown, Files]> }
        }
        formidable()
          .parse(req)
          .then(([, files]) => res.json(files.file[0]?.size), next)
      },
    ],
  }
  const modes: [mode: string, reading: Reading][] = [
    ['kept', { keep: ['multipart/form-data'], limit: 1_000_000 }],
    ['streamed', { streamed: true }],
  ]
  for (const [name, build] of Object.entries(readers)) {
    it.each(modes)(`${name} gets an upload that is %s`, async (_mode, options) => {
      const { guards } = kit(options)
      const [origin] = await listen(
        express()
          .use('/auth', ...guards, ...build())
          .use(fail),
      )
      const headers = { 'content-type': `multipart/form-data; boundary=${mark}` }
      const ask = { method: 'POST', headers, body: form(file) }
      expect(await send(origin, ask)).toMatchObject({ status: 200, text: '90000' })
      const sent = form(`a${file.slice(1)}`)
      expect(codeOf(await send(origin, { ...ask, sent }))).toEqual([401, 'DIGEST_MISMATCH'])
      expect(await send(origin, ask)).toMatchObject({ status: 200, text: '90000' })
    })
  }
})

describe('another server', () => {
  interface Chain {
    use(...handlers: unknown[]): Chain
    readonly handler?: RequestListener
  }
  const plain: RequestHandler = (req, res) => void res.end(JSON.stringify((req.body as unknown) ?? null))
  const made: Readonly<Record<string, (guards: RequestHandler[]) => RequestListener>> = {
    connect: (guards) => {
      const app = (load('connect') as () => Chain)()
      for (const guard of [...guards, plain]) app.use('/auth', guard)
      return app as unknown as RequestListener
    },
    polka: (guards) => {
      const app = (load('polka') as () => Chain)().use('/auth', ...guards, plain)
      return (req, res) => app.handler?.(req, res)
    },
  }
  it.each(Object.entries(made))('%s runs the guards', async (_name, build) => {
    const { guards, events } = kit()
    const [origin] = await listen(build(guards))
    for (const [what, ask, status, code] of calls) {
      const before = events.length
      const got = await send(origin, ask)
      if (code === undefined) expect([what, got.status, got.text]).toEqual([what, 200, ask.body ?? 'null'])
      else expect([what, ...codeOf(got)]).toEqual([what, status, code])
      const { method = 'GET' } = ask
      const outcome = code === undefined ? 'answered' : 'refused'
      expect(await lastOf(events, before)).toEqual([[method, outcome, status]])
    }
  })
})

it('Socket.IO runs the guards by `io.engine.use`, also on upgrades', async () => {
  const { guards, events } = kit()
  const [origin, server] = await listen(express())
  const { Server: SocketServer } = load('socket.io') as {
    Server: new (server: Server) => {
      readonly engine: { use(handler: unknown): void }
      close(): Promise<void>
    }
  }
  const io = new SocketServer(server)
  for (const guard of guards.slice(0, 3)) io.engine.use(guard)
  const upgrade = async (app: string): Promise<string> => {
    const url = `${origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
    const socket = new WebSocket(url, { headers: { 'x-app-id': app, 'x-origin': ORIGIN } })
    const first = await new Promise<string>((resolve) => {
      socket.once('message', (data: unknown) => resolve(String(data)))
      socket.once('error', () => resolve('refused'))
    })
    socket.close()
    return first.slice(0, 7)
  }
  expect(await upgrade('page')).toBe('0{"sid"')
  expect(await lastOf(events, 0)).toEqual([['GET', 'aborted', undefined]])
  expect(await upgrade('far')).toBe('refused')
  await io.close()
})

it('no promise was left without a handler', () => {
  expect(rejections).toEqual([])
})
