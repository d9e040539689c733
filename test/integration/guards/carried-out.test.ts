import { describe, expect, it } from '@jest/globals'
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import request from 'supertest'
import {
  appIdFrom,
  auditAccess,
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
  type PolicySource,
} from 'portcullis'
import { APP } from '../../support/protected-app.ts'

const OURS = 'https://example.org'
const ENFORCED = { mode: 'enforce' }
const EVERYBODY = { ...ENFORCED, ranges: ['0.0.0.0/0', '::/0'] }
const appId = appIdFrom({ query: 'app' })

function sourceOf(sections: object): PolicySource {
  return createPolicySource({ store: memoryStore([{ policy: { appId: APP, ...sections } }]) })
}

/** An application with these guards, which counts the calls of its handler. */
function applicationOf(...guards: unknown[]) {
  const reached: string[] = []
  const app = express().use(...(guards as RequestHandler[]), (req, res) => {
    reached.push(req.path)
    if (!res.headersSent) res.end('handled')
  })
  return { app, reached }
}

describe('a preflight that is answered', () => {
  const sections = {
    domainProtect: { ...ENFORCED, domains: [OURS] },
    regionPin: ENFORCED,
    serverOnly: ENFORCED,
    returnUrlGuard: { ...ENFORCED, urls: [`${OURS}/`] },
    auditAccess: ENFORCED,
  }
  const mounts: [string, (policies: PolicySource) => unknown][] = [
    ['regionPin', (policies) => regionPin({ policies, appId, here: 'london', country: () => 'DE' })],
    ['returnUrlGuard', (policies) => returnUrlGuard({ policies, appId, returnUrl: { query: 'to' } })],
  ]
  for (const [name, mount] of mounts) {
    it(`by ${name} does not reach the handler, even without a mounted domainProtect`, async () => {
      const sink = memoryAuditSink()
      const policies = sourceOf(sections)
      const { app, reached } = applicationOf(auditAccess({ policies, appId, sink }), mount(policies))
      const response = await request(app)
        .options(`/?app=${APP}`)
        .set({ origin: OURS, 'access-control-request-method': 'PUT' })
      expect([response.status, response.headers['access-control-allow-origin']]).toEqual([204, OURS])
      expect(reached).toEqual([])
      // The person was not needed, so the audit contains nothing about them.
      const [event] = sink.events()
      expect(event).toMatchObject({ kind: 'operation', outcome: 'answered', status: 204 })
      expect(event).toMatchObject({ region: undefined })
    })
  }
})

describe('a preflight that names an app', () => {
  it('reveals nothing about other apps with the same origin', async () => {
    const policies = sourceOf({ domainProtect: { ...ENFORCED, domains: [OURS] } })
    const failing = {
      ...policies,
      peek: () => undefined,
      load: async () => Promise.reject(new Error('down')),
    }
    for (const [source, target, status] of [
      [policies, '/', 204],
      [policies, '/?app=nobody', 401],
      [failing, `/?app=${APP}`, 503],
    ] as const) {
      const { app, reached } = applicationOf(domainProtect({ policies: source, appId }))
      const response = await request(app)
        .options(target)
        .set({ origin: OURS, 'access-control-request-method': 'PUT' })
      expect([target, response.status, reached]).toEqual([target, status, []])
      const granted = response.headers['access-control-allow-methods']
      expect(granted !== undefined).toBe(status === 204)
    }
  })
})

describe('a guard that has answered', () => {
  it('does not call `onDeny`, and is reported once', async () => {
    const [told, denied]: [Decision[], Decision[]] = [[], []]
    const policies = sourceOf({ regionPin: { ...ENFORCED, onMisdirected: 'redirect' } })
    const { app, reached } = applicationOf(
      regionPin({
        policies,
        appId,
        here: 'dallas',
        country: () => 'DE',
        bases: { london: 'https://lon.example', frankfurt: 'https://fra.example' },
        onDecision: (decision) => void told.push(decision),
        onDeny: (decision, _req, res) => {
          denied.push(decision)
          res.end()
        },
      }),
    )
    const response = await request(app).get(`/?app=${APP}`)
    expect([response.status, reached]).toEqual([307, []])
    expect(told.map(({ code }) => code)).toEqual(['REGION_MISDIRECTED'])
    expect(denied).toEqual([])
  })
})

describe('a request that was answered while a guard was waiting', () => {
  it('reaches no handler, whether the guard allows or refuses', async () => {
    for (const section of [EVERYBODY, { ...EVERYBODY, deny: ['0.0.0.0/0', '::/0'] }]) {
      const { app, reached } = applicationOf(
        (_req: Request, res: Response, next: NextFunction) => {
          next()
          res.end('by another')
        },
        ipWhitelist({
          policies: sourceOf({ ipWhitelist: section }),
          appId: async (req) => new Promise((resolve) => setTimeout(resolve, 20, appId(req))),
        }),
      )
      const response = await request(app).get(`/?app=${APP}`)
      // Waits until the guard has its answer.
      await new Promise((resolve) => setTimeout(resolve, 60))
      expect([response.status, response.text]).toEqual([200, 'by another'])
      expect(reached).toEqual([])
    }
  })
})

describe('`onDeny` of protect', () => {
  it('answers the refusals of all guards', async () => {
    const sections = {
      auditAccess: ENFORCED,
      regionPin: ENFORCED,
      ipWhitelist: EVERYBODY,
      domainProtect: { ...ENFORCED, domains: [OURS], server: 'none' },
      serverOnly: { mode: 'off' },
      returnUrlGuard: { ...ENFORCED, urls: [`${OURS}/`] },
    }
    for (const [guard, section, code] of [
      ['regionPin', undefined, 'PROTECTION_NOT_CONFIGURED'],
      ['ipWhitelist', { ...ENFORCED, ranges: [] }, 'ADDRESS_NOT_ALLOWED'],
      ['domainProtect', { ...ENFORCED, domains: [OURS] }, 'ORIGIN_REQUIRED'],
      ['serverOnly', ENFORCED, 'SIGNATURE_REQUIRED'],
      ['returnUrlGuard', { ...ENFORCED, urls: [] }, 'RETURN_URL_REQUIRED'],
    ] as const) {
      const policies = sourceOf({ ...sections, [guard]: section })
      const { app, reached } = applicationOf(
        protect({
          policies,
          appId,
          sink: memoryAuditSink(),
          nonces: memoryNonces(),
          here: 'london',
          country: () => 'DE',
          returnUrl: { query: 'to' },
          onDeny: (decision, _req, res) => res.writeHead(418).end(`${decision.guard} ${decision.code}`),
        }),
      )
      const response = await request(app).get(`/?app=${APP}`)
      expect([response.status, response.text, reached]).toEqual([418, `${guard} ${code}`, []])
    }
  })
})

describe('a request that an option has answered', () => {
  it('does not reach the handler, even if every guard allows it', async () => {
    const policies = sourceOf({
      auditAccess: ENFORCED,
      regionPin: ENFORCED,
      ipWhitelist: EVERYBODY,
      domainProtect: { ...ENFORCED, domains: [OURS] },
      serverOnly: { mode: 'off' },
      returnUrlGuard: { ...ENFORCED, urls: [`${OURS}/`] },
    })
    const { app, reached } = applicationOf(
      protect({
        policies,
        appId,
        sink: memoryAuditSink(),
        nonces: memoryNonces(),
        here: 'london',
        country: () => 'DE',
        returnUrl: (req: Request) => {
          req.res?.end('answered')
          return `${OURS}/`
        },
      }),
    )
    const response = await request(app).get(`/?app=${APP}`).set('x-origin', OURS)
    expect([response.status, response.text, reached]).toEqual([200, 'answered', []])
  })
})

describe('`onReport`', () => {
  it('is called with what would have been refused, and with no actual refusal', async () => {
    for (const [mode, reports] of [
      ['report', 1],
      ['enforce', 0],
    ] as const) {
      const reported: Decision[] = []
      const policies = sourceOf({ ipWhitelist: { mode, ranges: [] } })
      const { app } = applicationOf(
        ipWhitelist({ policies, appId, onReport: (decision) => void reported.push(decision) }),
      )
      await request(app).get(`/?app=${APP}`)
      expect(reported).toHaveLength(reports)
    }
  })
})

describe('the error of a body parser', () => {
  it('is readable by a page of the app, like a refusal', async () => {
    const policies = sourceOf({
      auditAccess: ENFORCED,
      regionPin: ENFORCED,
      ipWhitelist: EVERYBODY,
      domainProtect: { ...ENFORCED, domains: [OURS] },
      serverOnly: ENFORCED,
      returnUrlGuard: { ...ENFORCED, urls: [`${OURS}/`] },
    })
    const guard = protect({
      policies,
      appId,
      sink: memoryAuditSink(),
      nonces: memoryNonces(),
      here: 'london',
      country: () => 'DE',
      returnUrl: { query: 'to' },
    })
    const { app, reached } = applicationOf(guard)
    app.use((error: { status: number }, _req: Request, res: Response, _next: NextFunction) => {
      res.status(error.status).end()
    })
    const page = { origin: OURS, 'content-type': 'application/json' }
    const response = await request(app).post(`/?app=${APP}`).set(page).send('{')
    expect([response.status, reached]).toEqual([400, []])
    expect(response.headers).toMatchObject({ 'access-control-allow-origin': OURS })
    // The answer comes from the error handler, without our headers.
    expect(response.headers).not.toHaveProperty('access-control-expose-headers')
  })
})

describe('serverOnly for an app that does not exist', () => {
  it('says how to sign, even if another guard of the chain ran first', async () => {
    const policies = sourceOf({})
    const guards = { policies, appId, nonces: memoryNonces() }
    const alone = await request(applicationOf(serverOnly(guards)).app).get('/?app=nobody')
    const chain = protect({
      ...guards,
      sink: memoryAuditSink(),
      here: 'london',
      country: () => 'DE',
      returnUrl: { query: 'to' },
    })
    const chained = await request(applicationOf(chain).app).get('/?app=nobody')
    expect(chained.status).toBe(401)
    expect(alone.headers['accept-signature']).toMatch(/@method/)
    expect(chained.headers['accept-signature']).toBe(alone.headers['accept-signature'])
  })
})

describe('an audit that is mounted twice', () => {
  it('records one operation, and each of two audits records its own', async () => {
    const policies = sourceOf({ auditAccess: ENFORCED })
    const [sink, other] = [memoryAuditSink(), memoryAuditSink()]
    const audit = auditAccess({ policies, appId, sink })
    const { app } = applicationOf(audit, audit, auditAccess({ policies, appId, sink: other }), audit)
    await request(app).get(`/?app=${APP}`)
    for (const { events } of [sink, other]) expect(events().map(({ kind }) => kind)).toEqual(['operation'])
  })
})

describe('the audit', () => {
  it('has the outcome `refused` if a guard enforces, and not if it only reports', async () => {
    for (const [mode, outcome] of [
      ['report', 'answered'],
      ['enforce', 'refused'],
    ] as const) {
      const policies = sourceOf({ auditAccess: ENFORCED, ipWhitelist: { mode, ranges: [] } })
      const sink = memoryAuditSink()
      const { app } = applicationOf(auditAccess({ policies, appId, sink }), ipWhitelist({ policies, appId }))
      await request(app).get(`/?app=${APP}`)
      expect(sink.events()).toMatchObject([{ kind: 'operation', outcome }])
    }
  })
})
