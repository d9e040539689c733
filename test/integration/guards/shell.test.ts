import type { RequestListener } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import {
  appIdFrom,
  bodyParsers,
  createPolicySource,
  ipWhitelist,
  memoryStore,
  type Refusal,
} from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const OPEN = { ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] } } as const
const SHUT = { ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] } } as const

describe('the shell', () => {
  it('lets an allowed request pass, adds no header, and leaves the context for the handler', async () => {
    const { app } = protectedApp(
      OPEN,
      (policies) => [ipWhitelist({ policies })],
      (req, res) => {
        const { appId, revision, address, decisions, requestId } = req.portcullis
        res.json({ appId, revision, address, codes: decisions.map(({ code }) => code), requestId })
      },
    )
    const response = await request(app).get('/x').set('x-app-id', APP)
    expect(response.status).toBe(200)
    expect(response.body).toMatchObject({ appId: APP, revision: 1, address: '127.0.0.1', codes: ['ALLOWED'] })
    expect(response.body.requestId).toMatch(/^[0-9a-f-]{36}$/)
    expect(response.headers['x-request-id']).toBeUndefined()
  })

  it('answers a refusal with a problem document that reveals nothing about the policy', async () => {
    const { app, reached } = protectedApp(SHUT, (policies) => [ipWhitelist({ policies })])
    const response = await request(app).get('/x').set('x-app-id', APP)
    expect(response.status).toBe(403)
    expect(response.headers['content-type']).toBe('application/problem+json')
    expect(response.headers['cache-control']).toBe('no-store')
    expect(response.body).toEqual({
      type: 'urn:problem-type:portcullis:address-not-allowed',
      title: 'The client address is not allowed',
      status: 403,
      code: 'ADDRESS_NOT_ALLOWED',
      instance: response.headers['x-request-id'],
    })
    expect(response.text).not.toMatch(/203\.0\.113|127\.0\.0/)
    expect(reached).toEqual([])
  })

  const refusals: [string, object, Record<string, string>, number, string][] = [
    ['a request that names no app', OPEN, {}, 401, 'APP_UNIDENTIFIED'],
    ['an empty app id', OPEN, { 'x-app-id': '' }, 401, 'APP_UNIDENTIFIED'],
    ['an app that does not exist', OPEN, { 'x-app-id': 'nobody' }, 401, 'APP_UNKNOWN'],
    ['an app id that cannot be one', OPEN, { 'x-app-id': 'a b{}' }, 401, 'APP_UNKNOWN'],
    ['an app that has not written the protection', {}, { 'x-app-id': APP }, 403, 'PROTECTION_NOT_CONFIGURED'],
  ]
  for (const [what, sections, headers, status, code] of refusals) {
    it(`refuses ${what} with ${status} ${code}`, async () => {
      const { app, reached } = protectedApp(sections, (policies) => [ipWhitelist({ policies })])
      const response = await request(app).get('/').set(headers)
      expect(response.status).toBe(status)
      expect(response.body.code).toBe(code)
      expect(reached).toEqual([])
    })
  }

  it('distinguishes a missing and an unknown app only by the code', async () => {
    const { app } = protectedApp(OPEN, (policies) => [ipWhitelist({ policies })])
    const [none, unknown] = await Promise.all([
      request(app).get('/'),
      request(app).get('/').set('x-app-id', 'nobody'),
    ])
    const volatile = { code: '', type: '', instance: '' }
    expect({ ...none.body, ...volatile }).toEqual({ ...unknown.body, ...volatile })
    expect(Object.keys(none.headers)).toEqual(Object.keys(unknown.headers))
  })

  it('changes no byte of the response in report mode, and calls onReport', async () => {
    const reported: Refusal[] = []
    const sections = { ipWhitelist: { ...SHUT.ipWhitelist, mode: 'report' } } as const
    const guarded = protectedApp(sections, (policies) => [
      ipWhitelist({ policies, onReport: (decision) => reported.push(decision) }),
    ])
    const bare = express().use((_req, res) => void res.json({ ok: true }))
    const raw = (app: express.Express) =>
      listening(app, (origin) =>
        exchange(
          Number(new URL(origin).port),
          `GET / HTTP/1.1\r\nHost: x\r\nx-app-id: ${APP}\r\nConnection: close\r\n\r\n`,
        ),
      )
    expect(withoutDate(await raw(guarded.app))).toBe(withoutDate(await raw(bare)))
    expect(reported).toEqual([expect.objectContaining({ code: 'ADDRESS_NOT_ALLOWED', mode: 'report' })])
  })

  it('is not affected by a report listener that throws', async () => {
    const sections = { ipWhitelist: { ...SHUT.ipWhitelist, mode: 'report' } } as const
    const { app } = protectedApp(sections, (policies) => [
      ipWhitelist({
        policies,
        onReport: () => {
          throw new Error('listener')
        },
      }),
    ])
    await request(app).get('/').set('x-app-id', APP).expect(200)
  })

  it('does not judge if the policy says off, and reports nothing', async () => {
    const reported: Refusal[] = []
    const { app } = protectedApp(
      { ipWhitelist: { ...SHUT.ipWhitelist, mode: 'off' } },
      (policies) => [ipWhitelist({ policies, onReport: (decision) => void reported.push(decision) })],
      (req, res) => void res.json(req.portcullis.decisions.map(({ effect, mode }) => `${mode} ${effect}`)),
    )
    await request(app).get('/').set('x-app-id', APP).expect(200, ['off allow'])
    expect(reported).toEqual([])
  })

  it('judges the next request by the changed policy in the store', async () => {
    const { app, store } = protectedApp(OPEN, (policies) => [ipWhitelist({ policies })])
    await request(app).get('/').set('x-app-id', APP).expect(200)
    await store.write({ policy: { appId: APP, ...SHUT } }, 1)
    await request(app).get('/').set('x-app-id', APP).expect(403)
    await store.remove(APP, 2)
    await request(app).get('/').set('x-app-id', APP).expect(401)
  })

  it('judges a whole request by one revision, even if the policy changes meanwhile', async () => {
    const { app, store } = protectedApp(OPEN, (policies) => [
      ipWhitelist({ policies }),
      (_req: unknown, _res: unknown, next: () => void) =>
        void store.write({ policy: { appId: APP, ...SHUT } }, 1).then(() => next()),
      ipWhitelist({ policies, appId: undefined }),
    ])
    await request(app).get('/').set('x-app-id', APP).expect(200)
    await request(app).get('/').set('x-app-id', APP).expect(403)
  })

  const failing: [string, PolicyStore['read']][] = [
    ['rejects', async () => Promise.reject(new Error('redis://user:secret@host'))],
    [
      'throws',
      () => {
        throw new Error('boom')
      },
    ],
    ['never answers', () => new Promise(() => undefined)],
    ['answers with null', async () => null as never],
    [
      'holds a document that is refused',
      async (appId) => ({ policy: { appId, ipWhitelist: {} }, revision: 1, keys: [] }),
    ],
  ]
  for (const [what, read] of failing) {
    it(`answers 503 with Retry-After when the store ${what}`, async () => {
      const app = express()
      const policies = createPolicySource({ store: { read }, readTimeout: 50 })
      app.use(ipWhitelist({ policies }), (_req, res) => void res.json({}))
      const response = await request(app).get('/').set('x-app-id', APP)
      expect(response.status).toBe(503)
      expect(response.body.code).toBe('POLICY_UNAVAILABLE')
      expect(Number(response.headers['retry-after'])).toBeGreaterThanOrEqual(1)
      expect(response.text).not.toContain('secret')
    })
  }

  it('calls onDeny with a refusal instead of sending the problem document', async () => {
    const { app } = protectedApp(SHUT, (policies) => [
      ipWhitelist({
        policies,
        onDeny: (decision, _req, res) => {
          res.statusCode = 418
          res.end(decision.code)
        },
      }),
    ])
    const response = await request(app).get('/').set('x-app-id', APP)
    expect(response.status).toBe(418)
    expect(response.text).toBe('ADDRESS_NOT_ALLOWED')
  })

  const broken: [string, () => void][] = [
    [
      'throws',
      () => {
        throw new Error('listener')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('listener'))],
  ]
  for (const [what, onDeny] of broken) {
    it(`still refuses when onDeny ${what}`, async () => {
      const { app, reached } = protectedApp(SHUT, (policies) => [ipWhitelist({ policies, onDeny })])
      const response = await request(app).get('/').set('x-app-id', APP)
      expect(response.status).toBe(403)
      expect(response.body.code).toBe('ADDRESS_NOT_ALLOWED')
      expect(reached).toEqual([])
    })
  }

  it('refuses with OPTION_FAILED when the appId option throws', async () => {
    const { app } = protectedApp(OPEN, (policies) => [
      ipWhitelist({
        policies,
        appId: () => {
          throw new Error('x')
        },
      }),
    ])
    const response = await request(app).get('/')
    expect([response.status, response.body.code]).toEqual([503, 'OPTION_FAILED'])
  })

  for (const temperature of ['cold', 'warm']) {
    it(`leaves an error of the handler to the application (${temperature} policy)`, async () => {
      const { app, policies } = protectedApp(
        OPEN,
        (source) => [ipWhitelist({ policies: source })],
        () => {
          throw new Error('a fault of the handler')
        },
      )
      app.use(
        ((_error, _req, res, _next) => void res.status(500).send('mine')) as express.ErrorRequestHandler,
      )
      if (temperature === 'warm') await policies.load(APP)
      const response = await request(app).get('/').set('x-app-id', APP)
      expect([response.status, response.text]).toEqual([500, 'mine'])
    })
  }

  it('finds the app in the query, in the path, and by a function', async () => {
    const store = memoryStore([{ policy: { appId: APP, ...OPEN } }])
    const policies = createPolicySource({ store })
    const app = express()
    const ok: express.RequestHandler = (req, res) => void res.json({ appId: req.portcullis.appId })
    app.get('/query', ipWhitelist({ policies, appId: appIdFrom({ query: 'app' }) }), ok)
    app.get('/path/:app', ipWhitelist({ policies, appId: appIdFrom({ param: 'app' }) }), ok)
    app.get('/function', ipWhitelist({ policies, appId: () => APP }), ok)
    for (const path of [`/query?app=${APP}`, `/path/${APP}`, '/function']) {
      const response = await request(app).get(path)
      expect(response.body).toEqual({ appId: APP })
    }
    for (const path of [`/query?app=${APP}&app=${APP}`, `/query?app[]=${APP}`, '/query', '/query?%']) {
      const response = await request(app).get(path)
      expect(response.body.code).toBe('APP_UNIDENTIFIED')
    }
  })

  const head = `Host: x\r\nx-app-id: ${APP}\r\nConnection: close\r\n`
  const json = `${head}Content-Type: application/json\r\n`
  const huge = 'a'.repeat(1_000_000)
  // Each request names the app, unless it tests that, so that only the tested aspect can cause a refusal.
  const odd: [what: string, text: string, status: number, code?: string][] = [
    [
      'an app id that was sent twice',
      `GET / HTTP/1.1\r\n${head}x-app-id: ${APP}\r\n\r\n`,
      401,
      'APP_UNKNOWN',
    ],
    ['two Host headers', `GET / HTTP/1.1\r\n${head}Host: y\r\n\r\n`, 200],
    ['broken percent-encoding in the query', `GET /?%=%E0%A4%A HTTP/1.1\r\n${head}\r\n`, 200],
    ['broken percent-encoding in the path', `GET /%zz HTTP/1.1\r\n${head}\r\n`, 200],
    ['an absolute target', `GET http://evil.example/ HTTP/1.1\r\n${head}\r\n`, 200],
    ['a header of a megabyte', `GET / HTTP/1.1\r\n${head}x-more: ${huge}\r\n\r\n`, 431],
    ['the header __proto__', `GET / HTTP/1.1\r\n${head}__proto__: x\r\n\r\n`, 200],
    ['bad JSON', `POST / HTTP/1.1\r\n${json}Content-Length: 3\r\n\r\n{"a`, 400],
    [
      'a body that is not compressed as it says',
      `POST / HTTP/1.1\r\n${json}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc`,
      400,
    ],
    [
      'a body in an unknown coding',
      `POST / HTTP/1.1\r\n${json}Content-Encoding: x\r\nContent-Length: 3\r\n\r\nabc`,
      415,
    ],
  ]
  for (const [what, text, status, code] of odd) {
    it(`answers ${what} with ${status} ${code ?? ''} without crashing`, async () => {
      const { app, reached } = protectedApp(OPEN, (policies) => [...bodyParsers(), ipWhitelist({ policies })])
      await listening(app, async (origin) => {
        const answer = await exchange(Number(new URL(origin).port), text)
        expect(answer.slice(0, 13)).toBe(`HTTP/1.1 ${status} `)
        if (code !== undefined) expect(answer).toContain(`"code":"${code}"`)
        expect(reached).toHaveLength(status === 200 ? 1 : 0)
        expect((await fetch(origin, { headers: { 'x-app-id': APP } })).status).toBe(200)
      })
    })
  }

  it('calls next synchronously for a known app: no promise, no read of the store', async () => {
    let reads = 0
    const store = memoryStore([{ policy: { appId: APP, ...OPEN } }])
    const policies = createPolicySource({
      store: { ...store, read: (appId) => ((reads += 1), store.read(appId)) },
    })
    const guard = ipWhitelist({ policies })
    const passed: boolean[] = []
    const listener: RequestListener = (req, res) => {
      let within = true
      guard(req, res, () => {
        passed.push(within)
        res.end()
      })
      within = false
    }
    await listening(listener, async (origin) => {
      for (let index = 0; index < 3; index += 1) await fetch(origin, { headers: { 'x-app-id': APP } })
    })
    expect(passed).toEqual([false, true, true])
    expect(reads).toBe(1)
  })

  it('works without Express, on node:http', async () => {
    const policies = createPolicySource({ store: memoryStore([{ policy: { appId: APP, ...OPEN } }]) })
    const guard = ipWhitelist({ policies })
    await listening(
      (req, res) => guard(req, res, () => res.end('through')),
      async (origin) => {
        expect(await (await fetch(origin, { headers: { 'x-app-id': APP } })).text()).toBe('through')
        expect((await fetch(origin)).status).toBe(401)
      },
    )
  })
})

function withoutDate(answer: string): string {
  expect(answer).toMatch(/\r\nDate: [^\r]+\r\n/)
  return answer.replace(/\r\nDate: [^\r]+/, '')
}
