import { describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import {
  appIdFrom,
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type Decision,
  type NonceStore,
  type ProtectOptions,
  type RequestHandler,
  type PolicyInput,
} from 'portcullis'
import { signedFetch } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const POLICY = {
  appId: APP,
  auditAccess: { mode: 'enforce' },
  regionPin: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  serverOnly: { mode: 'enforce' },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/'] },
} satisfies PolicyInput

const send = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP, origin: 'https://example.org' })

function policiesOf(policy: PolicyInput = POLICY): ReturnType<typeof createPolicySource> {
  return createPolicySource({ store: memoryStore([{ policy, keys: [KEY] }]) })
}

function appOf(...handlers: unknown[]): express.Express {
  return express().use(...(handlers as express.RequestHandler[]))
}

const done: express.RequestHandler = (req, res) =>
  void res.json({ trail: req.portcullis.decisions.map(({ guard, code }) => `${guard} ${code}`) })

function protecting(options: Partial<ProtectOptions> = {}): RequestHandler {
  return protect({
    policies: policiesOf(),
    sink: memoryAuditSink(),
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: { body: 'return_url' },
    ...options,
  })
}

const BODY = JSON.stringify({ return_url: 'https://example.org/callback' })
const POST = { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY }

describe('a nonce is claimed once for each request', () => {
  function counted(): { nonces: NonceStore; claims: () => number } {
    const store = memoryNonces()
    let claims = 0
    return {
      nonces: { claim: (...given) => ((claims += 1), store.claim(...given)) },
      claims: () => claims,
    }
  }

  it('by one guard that is mounted on two routers', async () => {
    const { nonces, claims } = counted()
    const guard = serverOnly({ policies: policiesOf(), nonces })
    const app = express()
    app.use('/api', guard as express.RequestHandler, express.Router().get('/users', done))
    app.use('/api', guard as express.RequestHandler, express.Router().get('/orders', done))
    await listening(app, async (origin) => {
      expect((await send(`${origin}/api/orders`)).status).toBe(200)
      expect(claims()).toBe(1)
    })
  })

  it('by two guards with one nonce store, and a second message with the nonce is a replay', async () => {
    const { nonces } = counted()
    const policies = policiesOf()
    const app = appOf(serverOnly({ policies, nonces }), serverOnly({ policies, nonces }), done)
    await listening(app, async (origin) => {
      let headers: Headers | undefined
      const keeping: typeof fetch = async (input, init) => {
        headers = new Request(input, init).headers
        return await fetch(input, init)
      }
      const sending = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP, fetch: keeping })
      expect((await sending(`${origin}/`)).status).toBe(200)
      const again = await fetch(`${origin}/`, { headers: headers as Headers })
      expect([again.status, ((await again.json()) as { code: string }).code]).toEqual([
        401,
        'SIGNATURE_REPLAYED',
      ])
    })
  })

  it('in each of two stores, so that both know it', async () => {
    const [first, second] = [counted(), counted()]
    const policies = policiesOf()
    const app = appOf(
      serverOnly({ policies, nonces: first.nonces }),
      serverOnly({ policies, nonces: second.nonces }),
      done,
    )
    await listening(app, async (origin) => {
      expect((await send(`${origin}/`)).status).toBe(200)
      expect([first.claims(), second.claims()]).toEqual([1, 1])
    })
  })

  it('and two mounts allow only what both allow', async () => {
    const nonces = memoryNonces()
    const strict = policiesOf({
      ...POLICY,
      serverOnly: { mode: 'enforce' },
      ipWhitelist: { mode: 'enforce' },
    })
    const app = appOf(
      serverOnly({ policies: policiesOf(), nonces }),
      ipWhitelist({ policies: policiesOf() }),
      ipWhitelist({ policies: strict }),
      done,
    )
    await listening(app, async (origin) => {
      const response = await send(`${origin}/`)
      expect(((await response.json()) as { code: string }).code).toBe('ADDRESS_NOT_ALLOWED')
    })
  })
})

describe('protect', () => {
  it('is one handler that runs all six, parses the body and allows a good request', async () => {
    await listening(appOf(protecting(), done), async (origin) => {
      const response = await send(`${origin}/`, POST)
      expect(await response.json()).toEqual({
        trail: [
          'auditAccess',
          'regionPin',
          'ipWhitelist',
          'domainProtect',
          'serverOnly',
          'returnUrlGuard',
        ].map((guard) => `${guard} ALLOWED`),
      })
    })
  })

  it('also works after bodyParsers()', async () => {
    await listening(appOf(bodyParsers(), protecting(), done), async (origin) => {
      expect((await send(`${origin}/`, POST)).status).toBe(200)
    })
  })

  it('can wait at any step and continue there', async () => {
    const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, 2, value))
    const store = memoryNonces()
    const handler = protecting({
      appId: (req) => later(req.headers['x-app-id'] as string),
      requestId: () => later('named-later'),
      country: () => later('DE'),
      returnUrl: () => later('https://example.org/callback'),
      nonces: { claim: (...given) => later(store.claim(...given)) },
    })
    await listening(appOf(handler, done), async (origin) => {
      const response = await send(`${origin}/`, POST)
      expect(((await response.json()) as { trail: string[] }).trail).toHaveLength(6)
      const refused = await fetch(`${origin}/`, {
        headers: { 'x-app-id': APP, 'x-origin': 'https://example.org' },
      })
      expect([refused.status, refused.headers.get('x-request-id')]).toEqual([401, 'named-later'])
    })
  })

  it('does not read the body of a request that an earlier guard refuses', async () => {
    const policies = policiesOf({ ...POLICY, ipWhitelist: { mode: 'enforce' } })
    await listening(appOf(protecting({ policies }), done), async (origin) => {
      const response = await send(`${origin}/`, { ...POST, body: '{' })
      expect(((await response.json()) as { code: string }).code).toBe('ADDRESS_NOT_ALLOWED')
    })
  })

  it('shows the error of a body parser to a page of an allowed origin, and to the audit', async () => {
    const sink = memoryAuditSink()
    await listening(appOf(protecting({ sink, bodyLimit: 10 }), done), async (origin) => {
      const headers = { 'x-app-id': APP, origin: 'https://example.org', 'content-type': 'application/json' }
      const response = await fetch(`${origin}/`, { method: 'POST', headers, body: BODY })
      expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([
        413,
        'https://example.org',
      ])
      // The answer comes from the error handler, and not from a guard, which would expose its own headers.
      expect(response.headers.get('access-control-expose-headers')).toBeNull()
    })
    expect(sink.events()).toMatchObject([{ kind: 'operation', status: 413 }])
  })

  it('answers an unknown app from the first guard on like a wrong signature', async () => {
    const policies = policiesOf({ ...POLICY, ipWhitelist: { mode: 'off' }, regionPin: { mode: 'off' } })
    const wrong = signedFetch({
      keyId: KEY.id,
      secret: Buffer.alloc(32).toString('base64'),
      appId: APP,
      origin: 'https://example.org',
    })
    const stranger = signedFetch({
      keyId: KEY.id,
      secret: KEY.secret,
      appId: 'no-such-app',
      origin: 'https://example.org',
    })
    await listening(appOf(protecting({ policies }), done), async (origin) => {
      const answers = await Promise.all(
        [wrong, stranger].map(async (call) => {
          const response = await call(`${origin}/`, POST)
          const { instance, ...document } = (await response.json()) as { instance: string }
          const headers = [...response.headers.keys()].filter((name) => name !== 'date')
          return { status: response.status, document, headers, named: instance.length }
        }),
      )
      expect(answers[0]).toEqual(answers[1])
      expect(answers[0]?.status).toBe(401)
    })
  })
})

describe('onDeny', () => {
  const refusing = policiesOf({ ...POLICY, ipWhitelist: { mode: 'enforce' } })
  const open: [string, ProtectOptions['onDeny']][] = [
    ['calls next() without an error', (_decision, _req, _res, next) => next()],
    ['calls next("route")', (_decision, _req, _res, next) => next('route')],
    ['calls next("router")', (_decision, _req, _res, next) => next('router')],
    ['calls next(null)', (_decision, _req, _res, next) => next(null)],
    ['calls next(0)', (_decision, _req, _res, next) => next(0)],
    ['calls next() later', (_decision, _req, _res, next) => void setTimeout(next, 5)],
    ['returns a promise and does not answer', async () => undefined],
    ['calls next() twice', (_decision, _req, _res, next) => { next(); next() }],
  ] // prettier-ignore
  for (const [what, onDeny] of open) {
    it(`does not open the guard when it ${what}`, async () => {
      let reached = false
      const router = express.Router()
      router.get('/', ipWhitelist({ policies: refusing, onDeny }) as express.RequestHandler, done)
      router.get('/', () => void (reached = true))
      const app = appOf(router)
      app.use((_req, res) => {
        reached = true
        res.end()
      })
      const response = await request(app).get('/').set('x-app-id', APP)
      expect([response.status, response.body.code, reached]).toEqual([403, 'ADDRESS_NOT_ALLOWED', false])
    })
  }

  it('passes an error on to the error handler', async () => {
    const app = appOf(
      ipWhitelist({ policies: refusing, onDeny: (_decision, _req, _res, next) => next(new Error('mine')) }),
    )
    app.use(
      ((error, _req, res, _next) =>
        void res.status(418).send((error as Error).message)) as express.ErrorRequestHandler,
    )
    const response = await request(app).get('/').set('x-app-id', APP)
    expect([response.status, response.text]).toEqual([418, 'mine'])
  })

  it('has five seconds, and then the problem document is sent', async () => {
    const app = appOf(ipWhitelist({ policies: refusing, onDeny: () => undefined }), done)
    const response = await request(app).get('/').set('x-app-id', APP)
    expect([response.status, response.body.code]).toEqual([403, 'ADDRESS_NOT_ALLOWED'])
  })

  it('may answer later', async () => {
    const app = appOf(
      ipWhitelist({
        policies: refusing,
        onDeny: (_decision, _req, res) => void setTimeout(() => res.writeHead(418).end('tea'), 20),
      }),
      done,
    )
    expect((await request(app).get('/').set('x-app-id', APP)).status).toBe(418)
  })
})

describe('onDecision', () => {
  it('is called with every decision in every mode, with request and app, and never twice', async () => {
    const told: string[] = []
    const listen = (decision: Decision, { req, app }: { req: object; app: unknown }): void => {
      told.push(
        `${decision.guard} ${decision.mode} ${decision.code} ${JSON.stringify(app)} ${'headers' in req}`,
      )
    }
    const policies = policiesOf({
      ...POLICY,
      ipWhitelist: { mode: 'report' },
      domainProtect: { mode: 'off' },
      regionPin: { mode: 'enforce' },
    })
    const shared = { policies, onDecision: listen }
    const app = appOf(
      ipWhitelist(shared),
      domainProtect(shared),
      regionPin({ ...shared, here: 'dallas', country: () => 'DE' }),
      returnUrlGuard({ ...shared, returnUrl: () => undefined }),
    )
    await request(app).get('/').set('x-app-id', APP).expect(421)
    await request(app).get('/').set('x-app-id', 'no-such-app').expect(401)
    const known = `{"appId":"${APP}","revision":1} true`
    expect(told).toEqual([
      `ipWhitelist report ADDRESS_NOT_ALLOWED ${known}`,
      `domainProtect off PROTECTION_OFF ${known}`,
      `regionPin enforce REGION_MISDIRECTED ${known}`,
      'ipWhitelist enforce APP_UNKNOWN undefined true',
    ])
  })

  it('receives the error that an option has thrown', async () => {
    const errors: unknown[] = []
    const fault = new Error('no database')
    const app = appOf(
      regionPin({
        policies: policiesOf(),
        here: 'london',
        country: () => Promise.reject(fault),
        onDecision: ({ code }, { error }) => errors.push([code, error]),
      }),
    )
    await request(app).get('/').set('x-app-id', APP).expect(503)
    expect(errors).toEqual([['OPTION_FAILED', fault]])
  })

  it('may fail in any way without changing the answer', async () => {
    for (const onDecision of [
      () => {
        throw new Error('x')
      },
      () => Promise.reject(new Error('x')),
    ]) {
      // prettier-ignore
      const app = appOf(ipWhitelist({ policies: policiesOf(), onDecision }), done)
      await request(app).get('/').set('x-app-id', APP).expect(200)
    }
  })
})

describe('options required by a protection', () => {
  it('follow the mode of the policy: a failing country has no effect in report mode, and is not called when off', async () => {
    let asked = 0
    const country = (): never => {
      asked += 1
      throw new Error('x')
    }
    for (const [mode, status, times] of [
      ['report', 200, 1],
      ['off', 200, 0],
      ['enforce', 503, 1],
    ] as const) {
      // prettier-ignore
      asked = 0
      const policies = policiesOf({ ...POLICY, regionPin: { mode } })
      const app = appOf(regionPin({ policies, here: 'london', country }), done)
      await request(app).get('/').set('x-app-id', APP).expect(status)
      expect([mode, asked]).toEqual([mode, times])
    }
  })
})

describe('the app id', () => {
  const named = (...places: Parameters<typeof appIdFrom>[0][]): RequestHandler[] =>
    places.map((place) => ipWhitelist({ policies: policiesOf(), appId: appIdFrom(place) }))
  const basic = (user: string): string => `Basic ${Buffer.from(`${user}:secret`).toString('base64')}`

  it('is found in HTTP Basic, form-encoded as OAuth clients send it', async () => {
    const app = appOf(...named({ basic: true }), done)
    await request(app).get('/').set('authorization', basic(APP)).expect(200)
    await request(app)
      .get('/')
      .set('authorization', basic(APP.replace('-', '%2D')))
      .expect(200)
    for (const wrong of [
      'Basic',
      'Basic !',
      `Bearer ${APP}`,
      basic('%'),
      `Basic ${Buffer.from(APP).toString('base64')}`,
    ])
      await request(app).get('/').set('authorization', wrong).expect(401)
    await request(app).get('/').expect(401)
    await listening(app, async (origin) => {
      const line = `Authorization: ${basic(APP)}\r\n`
      const answer = async (lines: string): Promise<string> =>
        exchange(
          Number(new URL(origin).port),
          `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`,
        )
      expect(await answer(line)).toMatch(/^HTTP\/1\.1 200 /)
      expect(await answer(line + line)).toMatch(/^HTTP\/1\.1 401 /)
    })
  })

  it('is found in a form or JSON body, and once', async () => {
    const app = appOf(bodyParsers(), ...named({ body: 'client_id' }), done)
    await request(app).post('/').type('form').send({ client_id: APP }).expect(200)
    await request(app).post('/').send({ client_id: APP }).expect(200)
    await request(app).post('/').type('form').send(`client_id=${APP}&client_id=${APP}`).expect(401)
    await request(app)
      .post('/')
      .send({ client_id: [APP] })
      .expect(401)
    await request(app).post('/').send({}).expect(401)
  })

  it('may be in one of several places, and all that are used must agree', async () => {
    const app = appOf(bodyParsers(), ...named({ basic: true, body: 'client_id' }), done)
    await request(app).post('/').type('form').send({ client_id: APP }).expect(200)
    await request(app).post('/').type('form').set('authorization', basic(APP)).send({ a: '1' }).expect(200)
    await request(app)
      .post('/')
      .type('form')
      .set('authorization', basic(APP))
      .send({ client_id: APP })
      .expect(200)
    await request(app)
      .post('/')
      .type('form')
      .set('authorization', basic('other'))
      .send({ client_id: APP })
      .expect(401)
  })

  it('in the body makes protect() read the body first, and its errors are in the audit', async () => {
    const sink = memoryAuditSink()
    const handler = protecting({ sink, appId: appIdFrom({ body: 'client_id' }) })
    await listening(appOf(handler, done), async (origin) => {
      const body = JSON.stringify({ return_url: 'https://example.org/callback', client_id: APP })
      expect((await send(`${origin}/`, { ...POST, body })).status).toBe(200)
      expect((await send(`${origin}/`, { ...POST, body: '{' })).status).toBe(400)
    })
    expect(sink.events()).toMatchObject([{ status: 200 }, { status: 400 }])
  })

  it('is determined once by a chain, and by each guard that is mounted individually', async () => {
    let asked = 0
    const appId = (): string => {
      asked += 1
      return APP
    }
    await listening(appOf(protecting({ appId }), done), async (origin) => {
      expect((await send(`${origin}/`, POST)).status).toBe(200)
    })
    expect(asked).toBe(1)
    const policies = policiesOf()
    await request(appOf(ipWhitelist({ policies, appId }), ipWhitelist({ policies, appId }), done))
      .get('/')
      .expect(200)
    expect(asked).toBe(3)
  })
})

describe('a request that changes between two guards', () => {
  it('is judged as handlers will see it', async () => {
    const verify = async (method: string): Promise<number> => {
      const change: express.RequestHandler = (req, _res, next) => {
        req.method = method
        next()
      }
      const policies = policiesOf()
      const guards = [ipWhitelist({ policies }), change, serverOnly({ policies, nonces: memoryNonces() })]
      const headers = { 'x-wanted': 'DELETE' }
      return listening(
        appOf(...guards, done),
        async (origin) => (await send(`${origin}/`, { headers })).status,
      )
    }
    expect(await verify('GET')).toBe(200)
    expect(await verify('DELETE')).toBe(401)
  })
})

describe('a request that changes while a chain waits', () => {
  it('is judged as handlers will see it', async () => {
    const verify = async (method: string): Promise<number> => {
      const appId: ProtectOptions['appId'] = async (req) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        req.method = method
        return APP
      }
      const guard = serverOnly({ policies: policiesOf(), nonces: memoryNonces(), appId })
      const headers = { 'x-wanted': 'DELETE' }
      return listening(appOf(guard, done), async (origin) => (await send(`${origin}/`, { headers })).status)
    }
    expect(await verify('GET')).toBe(200)
    // The signature does not cover the header that changes the method.
    expect(await verify('DELETE')).toBe(401)
  })
})

describe('a country in the body', () => {
  it('is read after the body, and before the signature is verified', async () => {
    const handler = protecting({ country: { body: 'country' } })
    await listening(appOf(handler, done), async (origin) => {
      const call = (country: unknown) =>
        send(`${origin}/`, {
          ...POST,
          body: JSON.stringify({ return_url: 'https://example.org/callback', country }),
        })
      expect((await call('DE')).status).toBe(200)
      expect((await call('US')).status).toBe(421)
      expect((await call(7)).status).toBe(403)
    })
  })
})

describe('what domainProtect requires from servers', () => {
  type ServerRule = NonNullable<PolicyInput['domainProtect']>['server']
  const policyOf = (server: ServerRule, more: Partial<PolicyInput> = {}): PolicyInput => ({
    ...POLICY,
    domainProtect: { ...POLICY.domainProtect, server },
    ...more,
  })
  const rows: [server: ServerRule, headers: Record<string, string>, status: number][] = [
    ['claim', {}, 403],
    ['claim', { 'x-origin': 'https://example.org' }, 200],
    ['claim', { 'x-origin': 'https://evil.example' }, 403],
    ['none', {}, 200],
    ['none', { 'x-origin': 'https://example.org' }, 200],
    ['none', { 'x-origin': 'https://evil.example' }, 403],
    ['none', { origin: 'https://evil.example' }, 403],
    ['none', { 'sec-fetch-site': 'cross-site' }, 403],
    ['signed', {}, 403],
    ['signed', { 'x-origin': 'https://example.org' }, 403],
    ['signed', { origin: 'https://example.org' }, 200],
  ]
  it.each(rows)('alone, `server: %j` answers %j with %i', async (server, headers, status) => {
    const app = appOf(domainProtect({ policies: policiesOf(policyOf(server)) }), done)
    await request(app)
      .get('/')
      .set({ 'x-app-id': APP, ...headers })
      .expect(status)
  })

  const signedOnly = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP })

  it('`signed` passes after a serverOnly that enforces, and not after one that reports', async () => {
    for (const [mode, status] of [
      ['enforce', 200],
      ['report', 403],
      ['off', 403],
    ] as const) {
      // prettier-ignore
      const policies = policiesOf(policyOf('signed', { serverOnly: { mode } }))
      const app = appOf(serverOnly({ policies, nonces: memoryNonces() }), domainProtect({ policies }), done)
      await listening(app, async (origin) => {
        expect([mode, (await signedOnly(`${origin}/`)).status]).toEqual([mode, status])
      })
    }
  })

  it('`signed` passes only with a signature for the same app', async () => {
    const nonces = memoryNonces()
    const signer = policiesOf(policyOf('signed'))
    const other = createPolicySource({
      store: memoryStore([{ policy: { ...policyOf('signed'), appId: 'other' }, keys: [] }]),
    })
    const app = appOf(
      serverOnly({ policies: signer, nonces }),
      domainProtect({ policies: other, appId: () => 'other' }),
      done,
    )
    await listening(app, async (origin) => {
      expect((await signedOnly(`${origin}/`)).status).toBe(403)
    })
  })

  it('`signed` does not pass with a signature for an app with the same id in another source', async () => {
    const nonces = memoryNonces()
    const signer = policiesOf(policyOf('signed'))
    for (const [policies, status] of [
      [policiesOf(policyOf('signed')), 403],
      [signer, 200],
    ] as const) {
      const app = appOf(serverOnly({ policies: signer, nonces }), domainProtect({ policies }), done)
      await listening(app, async (origin) => {
        expect((await signedOnly(`${origin}/`)).status).toBe(status)
      })
    }
  })

  it('`signed` is judged by the serverOnly that follows in protect()', async () => {
    const policies = policiesOf(policyOf('signed'))
    await listening(appOf(protecting({ policies }), done), async (origin) => {
      expect((await signedOnly(`${origin}/`, POST)).status).toBe(200)
      const unsigned = await fetch(`${origin}/`, { headers: { 'x-app-id': APP } })
      expect(unsigned.status).toBe(401)
    })
  })
})
