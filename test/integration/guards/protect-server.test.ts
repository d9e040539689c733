import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  appIdFrom,
  ConfigError,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  protectServer,
  serverOnly,
  createPolicySource,
  memoryStore,
  type ProtectOptions,
  type RequestHandler,
} from 'portcullis'
import type { AuditSink } from 'portcullis/audit'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'

const ENFORCE = { mode: 'enforce' }
const OFF = Object.fromEntries(
  ['serverOnly', 'ipWhitelist', 'domainProtect', 'returnUrlGuard', 'regionPin', 'auditAccess'].map((name) => [
    name,
    { mode: 'off' },
  ]),
)
const sourceOf = (sections: object) =>
  createPolicySource({
    store: memoryStore([{ policy: { appId: APP, ...OFF, ...sections }, keys: [KEY] }]),
  })

function optionsFor(sections: object, more: Partial<ProtectOptions> = {}): ProtectOptions {
  return {
    policies: sourceOf(sections),
    sink: memoryAuditSink(),
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: { query: 'to', optional: true },
    ...more,
  }
}

const echo = (...ahead: readonly unknown[]) =>
  express()
    .use([(_req, _res, next) => next(), ...(ahead as express.RequestHandler[])] as express.RequestHandler[])
    .use((req, res) => void res.json({ body: (req.body as unknown) ?? null, id: req.portcullis.requestId }))

const get = async (origin: string, headers: Record<string, string> = { 'x-app-id': APP }) => {
  const response = await fetch(origin, { headers })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

describe('protectServer()', () => {
  it('refuses before the app, which is not called', async () => {
    let heard = 0
    const app = express().use((_req, res) => {
      heard += 1
      res.json({})
    })
    const options = optionsFor({ ipWhitelist: { ...ENFORCE, ranges: ['203.0.113.0/24'] } })
    await listening(protectServer(app, options), async (origin) => {
      const { status, headers, body } = await get(origin)
      expect([status, body['code'], headers.get('x-powered-by')]).toEqual([403, 'ADDRESS_NOT_ALLOWED', null])
    })
    expect(heard).toBe(0)
  })

  it.each([
    ['express.json()', [express.json()]],
    ['no parser of its own', []],
    ['several parsers', [express.urlencoded(), express.json(), express.text(), express.raw()]],
  ])('leaves the parsed body to an app with %s', async (_what, parsers) => {
    await listening(protectServer(echo(...parsers), optionsFor({ serverOnly: ENFORCE })), async (origin) => {
      const body = JSON.stringify({ a: 'x'.repeat(50_000) })
      const headers = await signRequest(
        {
          method: 'POST',
          url: `${origin}/`,
          headers: { 'x-app-id': APP, 'content-type': 'application/json' },
          body,
        },
        { keyId: KEY.id, secret: KEY.secret },
      )
      const response = await fetch(origin, { method: 'POST', headers, body })
      expect([response.status, ((await response.json()) as { body: unknown }).body]).toEqual([
        200,
        JSON.parse(body),
      ])
    })
  })

  it('answers an error of a body with its status, and continues to serve', async () => {
    await listening(protectServer(echo(), optionsFor({}, { bodyLimit: 10 })), async (origin) => {
      const send = async (body: string, type = 'application/json') => {
        const headers = { 'x-app-id': APP, 'content-type': type }
        const response = await fetch(origin, { method: 'POST', headers, body })
        return [
          response.status,
          response.headers.get('content-type'),
          (await response.json()) as object,
        ] as const
      }
      expect(await send('{"a"')).toMatchObject([
        400,
        'application/problem+json',
        { status: 400, title: 'Bad Request' },
      ])
      expect(await send('{"a":"01234567890"}')).toMatchObject([
        413,
        'application/problem+json',
        { status: 413 },
      ])
      expect(await send('{}', 'application/json; charset=latin1')).toMatchObject([
        415,
        'application/problem+json',
        {},
      ])
      expect((await send('{"a":1}'))[0]).toBe(200)
    })
  })

  it('uses the address of the connection, whatever Express trusts, unless `clientAddress` is set', async () => {
    const section = { ipWhitelist: { ...ENFORCE, ranges: ['203.0.113.7'] } }
    const forwarded = { 'x-app-id': APP, 'x-forwarded-for': '203.0.113.7' }
    const app = echo(ipWhitelist({ policies: sourceOf(section) })).set('trust proxy', true)
    await listening(protectServer(app, optionsFor(section)), async (origin) => {
      expect((await get(origin, forwarded)).status).toBe(403)
    })
    const clientAddress = { trustedProxies: ['127.0.0.0/8'], header: 'x-forwarded-for' } as const
    await listening(protectServer(app, optionsFor(section, { clientAddress })), async (origin) => {
      expect((await get(origin, forwarded)).status).toBe(200)
      expect((await get(origin)).status).toBe(403)
    })
  })

  it('shares its context with guards in the app: one id, one trail, one claim', async () => {
    const nonces = memoryNonces()
    const options = optionsFor({ serverOnly: ENFORCE }, { nonces, requestId: () => 'from-the-front' })
    const trails: number[] = []
    const look: RequestHandler = (req, _res, next) => {
      trails.push(req.portcullis?.decisions.length ?? 0)
      next()
    }
    const app = echo(serverOnly({ policies: options.policies, nonces }), look)
    await listening(protectServer(app, options), async (origin) => {
      const headers = await signRequest(
        { method: 'GET', url: `${origin}/`, headers: { 'x-app-id': APP } },
        { keyId: KEY.id, secret: KEY.secret },
      )
      expect(await get(origin, headers)).toMatchObject({ status: 200, body: { id: 'from-the-front' } })
      expect((await get(origin, headers)).status).toBe(401)
    })
    expect(trails).toEqual([7])
  })

  it('refuses options that need a router, and anything that is not an app', () => {
    const options = optionsFor({})
    expect(() => protectServer(echo(), { ...options, appId: appIdFrom({ param: 'app' }) })).toThrow(
      ConfigError,
    )
    expect(() => protectServer(echo(), { ...options, appId: appIdFrom({ query: 'app' }) })).not.toThrow()
    expect(() => protectServer(undefined as never, options)).toThrow(ConfigError)
    expect(() => protectServer(echo(), { ...options, here: 'oslo' })).toThrow(/^`protectServer\.here`/)
  })

  it('has the methods of the audit', async () => {
    const { flush, close } = protectServer(echo(), optionsFor({}))
    await expect(Promise.all([flush(), close()])).resolves.toEqual([undefined, undefined])
  })

  it('flushes the audit: waits until events that could not be stored are stored', async () => {
    const kept: unknown[] = []
    let down = true
    const sink: AuditSink = {
      write: async (events) => {
        if (down) throw new Error('down')
        kept.push(...events)
      },
    }
    const auditing = { auditAccess: { ...ENFORCE, onSinkFailure: 'allow' } }
    const listener = protectServer(echo(), optionsFor(auditing, { sink }))
    await listening(listener, async (origin) => {
      expect((await get(origin)).status).toBe(200)
    })
    expect(kept).toEqual([])
    down = false
    await listener.flush()
    expect(kept).toHaveLength(1)
    await listener.close()
  })
})

describe('protectServer().checkContinue', () => {
  /** Sends a body only after a 100, and records the events. */
  function expecting(server: Server, app: string): Promise<readonly string[]> {
    const events: string[] = []
    return new Promise((resolve, reject) => {
      const { port } = server.address() as AddressInfo
      const headers = {
        'x-app-id': app,
        expect: '100-continue',
        'content-type': 'application/json',
        'content-length': 7,
      }
      const sent = request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false })
      sent.on('continue', () => {
        events.push('continue')
        sent.end('{"a":1}')
      })
      sent.on('response', (response: IncomingMessage) => {
        events.push(String(response.statusCode))
        response.resume().on('end', () => {
          sent.destroy()
          resolve(events)
        })
      })
      sent.on('error', reject)
      sent.flushHeaders()
    })
  }

  it.each([
    ['with it', true, ['403'], ['continue', '200']],
    ['without it', false, ['continue', '403'], ['continue', '200']],
  ])(
    'does not request the body of a request that is refused without it: %s',
    async (_how, uses, refused, passed) => {
      const section = { ipWhitelist: { ...ENFORCE, ranges: ['203.0.113.0/24'] } }
      for (const [sections, expected] of [
        [section, refused],
        [{ auditAccess: ENFORCE }, passed],
      ] as const) {
        const listener = protectServer(echo(), optionsFor(sections))
        const server = createServer(listener)
        if (uses) server.on('checkContinue', listener.checkContinue)
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        try {
          expect(await expecting(server, APP)).toEqual(expected)
        } finally {
          server.closeAllConnections()
          await new Promise((resolve) => server.close(resolve))
        }
      }
    },
  )
})
