import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { buffer } from 'node:stream/consumers'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import {
  bodyParsers,
  createPolicySource,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  serverOnly,
  type ServerOnlyOptions,
  type PolicyInput,
} from 'portcullis'
import { signedFetch, signRequest } from 'portcullis/client'
import { repository, run } from '../support/commands.ts'
import { compiled } from '../support/compiled.ts'
import { APP, KEY } from '../support/protected-app.ts'

/** Packages before and after the guards: signed requests of a legitimate caller must reach their target. */

interface HttpProxy {
  web(req: IncomingMessage, res: ServerResponse): void
  on(event: 'error', listener: (error: Error, req: IncomingMessage, res: ServerResponse) => void): void
}
const load = createRequire(join(repository, 'test', 'frameworks', 'package.json'))
const httpProxy = load('http-proxy') as { createProxyServer(options: object): HttpProxy }
const { createProxyMiddleware, fixRequestBody } = load('http-proxy-middleware') as {
  createProxyMiddleware(options: object): RequestHandler
  fixRequestBody: unknown
}

const servers: Server[] = []
async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const OFF = { mode: 'off' } as const
const policy: PolicyInput = {
  appId: APP,
  serverOnly: { mode: 'enforce' },
  ipWhitelist: OFF,
  domainProtect: OFF,
  returnUrlGuard: OFF,
  regionPin: OFF,
  auditAccess: OFF,
}
const policies = createPolicySource({ store: memoryStore([{ policy, keys: [KEY] }]) })
afterAll(async () => {
  policies.close()
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

const signed = (options: Partial<ServerOnlyOptions> = {}): RequestHandler =>
  serverOnly({ policies, nonces: memoryNonces(), ...options }) as RequestHandler

/** An application that answers with the received content. */
function gateway(options: Partial<ServerOnlyOptions> = {}): RequestListener {
  const app = express()
  app.use(bodyParsers() as unknown as RequestHandler[], signed(options))
  app.use(
    (req, res) =>
      void res.json({ method: req.method, url: req.originalUrl, body: (req.body as unknown) ?? null }),
  )
  return app
}

const send = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP })
const JSON_CALL = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"text":"\u00fc"}',
}

async function answerOf(response: Promise<Response>): Promise<[status: number, body: unknown]> {
  const { status, text } = await response.then(async (given) => ({
    status: given.status,
    text: await given.text(),
  }))
  return [status, text === '' ? '' : (JSON.parse(text) as unknown)]
}

describe('a client that signs', () => {
  it('is accepted, whichever library sends its requests', async () => {
    const origin = await listen(gateway())
    const url = `${origin}/a%20path?q=a b&r=%C3%BC&s=it's`
    const key = { keyId: KEY.id, secret: KEY.secret, appId: APP }
    const ran = await run(process.execPath, [
      compiled('test/support/client-libraries.ts'),
      url,
      JSON.stringify(key),
    ])
    const lines = ran.output.split('\n').filter((line) => line.startsWith('['))
    const target = '/a%20path?q=a%20b&r=%C3%BC&s=it%27s'
    const bodies = { json: { text: '\u00fc' }, form: { text: '\u00fc & b' } }
    const expected = ['got', 'ky', 'node-fetch', 'superagent'].flatMap((client) => [
      [`${client} ${client === 'superagent' ? 'DELETE' : 'GET'}`, null],
      [`${client} POST json`, bodies.json],
      [`${client} POST form`, bodies.form],
    ])
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
      expected.map(([client, body]) => [client, { method: String(client).split(' ')[1], url: target, body }]),
    )
  })
})

describe('http-proxy in front of the guards', () => {
  const ways: [what: string, proxy: object, options: (front: string) => Partial<ServerOnlyOptions>][] = [
    ['passes `Host` on', { xfwd: true }, () => ({})],
    [
      'changes `Host`, and the origin is an option',
      { changeOrigin: true },
      (front) => ({ authority: front }),
    ],
    [
      'changes `Host`, and the origin is one of a function',
      { changeOrigin: true, xfwd: true },
      (front) => ({ authority: () => front }),
    ],
  ]
  it.each(ways)('has no effect if it %s', async (_what, settings, options) => {
    let guarded: RequestListener
    const target = await listen((req, res) => void guarded(req, res))
    const proxy = httpProxy.createProxyServer({ target, ...settings })
    const front = await listen((req, res) => proxy.web(req, res))
    guarded = gateway(options(front))
    expect(await answerOf(send(`${front}/x?y=%20`, JSON_CALL))).toEqual([
      200,
      { method: 'POST', url: '/x?y=%20', body: { text: '\u00fc' } },
    ])
    expect((await answerOf(send(`${front}/x`)))[0]).toBe(200)
  })

  it('is refused if it changes `Host` and the origin of callers is not configured', async () => {
    const target = await listen(gateway())
    const proxy = httpProxy.createProxyServer({ target, changeOrigin: true })
    const front = await listen((req, res) => proxy.web(req, res))
    expect(await answerOf(send(front))).toEqual([401, expect.objectContaining({ code: 'SIGNATURE_INVALID' })])
  })
})

describe('http-proxy-middleware in front of the guards', () => {
  it('may remove the prefix of its mount path', async () => {
    let guarded: RequestListener
    const target = await listen((req, res) => void guarded(req, res))
    const app = express()
    app.use('/api', createProxyMiddleware({ target, changeOrigin: true }))
    const front = await listen(app)
    guarded = gateway({ authority: front, pathPrefix: '/api' })
    expect(await answerOf(send(`${front}/api/x?y=%20`, JSON_CALL))).toEqual([
      200,
      { method: 'POST', url: '/x?y=%20', body: { text: '\u00fc' } },
    ])
  })
})

describe('a proxy behind the guards', () => {
  let backend: string
  let reached: Buffer[]
  // A new backend for each test, so that late content is not mistaken for that of the next test.
  beforeEach(async () => {
    const bodies: Buffer[] = []
    reached = bodies
    backend = await listen((req, res) => {
      const answer = (bytes: Buffer): void => {
        bodies.push(bytes)
        res.end(JSON.stringify({ url: req.url, length: bytes.length }))
      }
      void buffer(req).then(answer, () => undefined)
    })
  })

  const middleware = (options: object = {}): RequestHandler =>
    createProxyMiddleware({ target: backend, ...options })
  const plain = (): RequestHandler => {
    const proxy = httpProxy.createProxyServer({ target: backend })
    proxy.on('error', (_error, _req, res) => void res.writeHead(502).end('{}'))
    return (req, res) => proxy.web(req, res)
  }
  const replay = (): RequestHandler[] =>
    bodyParsers({ replay: true, keep: true }) as unknown as RequestHandler[]
  const whole = (): RequestHandler =>
    protect({
      policies,
      nonces: memoryNonces(),
      sink: memoryAuditSink(),
      here: 'london',
      country: () => 'DE',
      returnUrl: () => undefined,
      bodyReplay: true,
      bodyKeep: true,
    }) as RequestHandler

  const mounts: [name: string, make: () => RequestHandler[]][] = [
    ['http-proxy behind bodyParsers({ replay })', () => [...replay(), signed(), plain()]],
    ['http-proxy-middleware behind bodyParsers({ replay })', () => [...replay(), signed(), middleware()]],
    ['http-proxy behind protect({ bodyReplay })', () => [whole(), plain()]],
    ['http-proxy-middleware behind protect({ bodyReplay })', () => [whole(), middleware()]],
    ['http-proxy behind serverOnly({ streamed })', () => [signed({ streamed: true }), plain()]],
    [
      'http-proxy-middleware behind serverOnly({ streamed })',
      () => [signed({ streamed: true }), middleware()],
    ],
  ]
  const bodies: [type: string, bytes: Buffer][] = [
    ['application/json', Buffer.from('{ "text": "\u00fc" }\n')],
    ['application/x-www-form-urlencoded', Buffer.from('a=1&a=2&b=%20')],
    ['application/octet-stream', randomBytes(70_000)],
  ]
  describe.each(mounts)('%s', (_name, make) => {
    it.each(bodies)('gets the signed bytes of %s', async (type, bytes) => {
      const app = express()
      app.use(make())
      const origin = await listen(app)
      const call = { method: 'POST', headers: { 'content-type': type }, body: new Uint8Array(bytes) }
      expect(await answerOf(send(`${origin}/x?y=%20`, call))).toEqual([
        200,
        { url: '/x?y=%20', length: bytes.length },
      ])
      expect(reached).toEqual([bytes])
    })

    it('gets a request without content', async () => {
      const app = express()
      app.use(make())
      expect(await answerOf(send(`${await listen(app)}/x`))).toEqual([200, { url: '/x', length: 0 }])
    })

    it('does not forward changed content as complete', async () => {
      const app = express()
      app.use(make())
      const origin = await listen(app)
      const headers = { 'x-app-id': APP, 'content-type': 'application/json' }
      const message = { method: 'POST', url: `${origin}/x`, headers, body: '{"pay":1}' }
      const signature = await signRequest(message, { keyId: KEY.id, secret: KEY.secret })
      const response = await fetch(`${origin}/x`, { method: 'POST', headers: signature, body: '{"pay":9}' })
      expect(response.ok).toBe(false)
      await response.arrayBuffer()
      // By then the backend has received the earlier content.
      expect((await answerOf(send(`${origin}/after`)))[0]).toBe(200)
      expect(reached.map(String)).toEqual([''])
    })
  })

  it('writes the parsed body again with its own `fixRequestBody`, without an option', async () => {
    const app = express()
    app.use(
      bodyParsers() as unknown as RequestHandler[],
      signed(),
      middleware({ on: { proxyReq: fixRequestBody } }),
    )
    expect((await answerOf(send(`${await listen(app)}/x`, JSON_CALL)))[0]).toBe(200)
    expect(reached.map(String)).toEqual(['{"text":"\u00fc"}'])
  })
})
