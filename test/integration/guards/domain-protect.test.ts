import { describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import {
  appIdFrom,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryStore,
  regionPin,
  type PolicySource,
  type PolicyInput,
} from 'portcullis'
import { APP, protectedApp } from '../../support/protected-app.ts'

const SECTIONS = {
  domainProtect: { mode: 'enforce', domains: ['https://example.org', 'https://*.example.net:8443'] },
} satisfies Partial<PolicyInput>
const guards = (policies: PolicySource) => [domainProtect({ policies })]

describe('domainProtect', () => {
  const admitted: [string, Record<string, string>, string | undefined][] = [
    ['a listed origin', { origin: 'https://example.org' }, 'https://example.org'],
    ['a subdomain of a wildcard', { origin: 'https://a.b.example.net:8443' }, 'https://a.b.example.net:8443'],
    [
      'a listed origin that X-Origin repeats',
      { origin: 'https://example.org', 'x-origin': 'https://Example.org:443' },
      'https://example.org',
    ],
    ['a server that names a domain', { 'x-origin': 'https://example.org' }, undefined],
    [
      'a server that calls with the fetch of Node',
      { 'x-origin': 'https://example.org', 'sec-fetch-mode': 'cors' },
      undefined,
    ],
    [
      'a server that names a domain with its default port',
      { 'x-origin': 'https://Example.org:443' },
      undefined,
    ],
  ]
  for (const [what, headers, allowOrigin] of admitted) {
    it(`admits ${what}`, async () => {
      const { app } = protectedApp(SECTIONS, guards)
      const response = await request(app)
        .post('/')
        .set({ 'x-app-id': APP, ...headers })
      expect(response.status).toBe(200)
      expect(response.headers['access-control-allow-origin']).toBe(allowOrigin)
      expect(response.headers['vary']).toContain('Origin')
    })
  }

  const refused: [string, Record<string, string>, string][] = [
    ['a foreign origin', { origin: 'https://evil.example' }, 'ORIGIN_NOT_ALLOWED'],
    [
      'a foreign origin that names a domain in X-Origin',
      { origin: 'https://evil.example', 'x-origin': 'https://example.org' },
      'ORIGIN_NOT_ALLOWED',
    ],
    ['the opaque origin', { origin: 'null' }, 'ORIGIN_NOT_ALLOWED'],
    ['an empty origin', { origin: '', 'x-origin': 'https://example.org' }, 'ORIGIN_NOT_ALLOWED'],
    ['another port', { origin: 'https://example.org:8443' }, 'ORIGIN_NOT_ALLOWED'],
    ['another scheme', { origin: 'http://example.org' }, 'ORIGIN_NOT_ALLOWED'],
    ['a subdomain that was not written', { origin: 'https://www.example.org' }, 'ORIGIN_NOT_ALLOWED'],
    ['the apex of a wildcard', { origin: 'https://example.net:8443' }, 'ORIGIN_NOT_ALLOWED'],
    ['a spelling that no browser sends', { origin: 'https://EXAMPLE.org' }, 'ORIGIN_NOT_ALLOWED'],
    ['a list of origins', { origin: 'https://example.org, https://evil.example' }, 'ORIGIN_NOT_ALLOWED'],
    ['no origin at all', {}, 'ORIGIN_REQUIRED'],
    ['only a Referer', { referer: 'https://example.org/' }, 'ORIGIN_REQUIRED'],
    ['a foreign X-Origin', { 'x-origin': 'https://evil.example' }, 'ORIGIN_NOT_ALLOWED'],
    ['two X-Origin values', { 'x-origin': 'https://example.org, https://example.org' }, 'ORIGIN_NOT_ALLOWED'],
    [
      'a browser that sends X-Origin without Origin',
      { 'x-origin': 'https://example.org', 'sec-fetch-site': 'cross-site' },
      'ORIGIN_REQUIRED',
    ],
    ['a navigation', { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'none' }, 'ORIGIN_REQUIRED'],
    ['a header alias with an underscore', { X_Origin: 'https://example.org' }, 'ORIGIN_REQUIRED'],
  ]
  for (const [what, headers, code] of refused) {
    it(`refuses ${what} before the handler, without any CORS header`, async () => {
      const { app, reached } = protectedApp(SECTIONS, guards)
      const response = await request(app)
        .post('/')
        .set({ 'x-app-id': APP, ...headers })
      expect(response.status).toBe(403)
      expect(response.body.code).toBe(code)
      expect(Object.keys(response.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      expect(response.headers['vary']).toContain('Origin')
      expect(reached).toEqual([])
    })
  }

  it('admits the opaque origin only if it is in the policy', async () => {
    const { app } = protectedApp({ domainProtect: { mode: 'enforce', domains: ['null'] } }, guards)
    const response = await request(app).get('/').set({ 'x-app-id': APP, origin: 'null' })
    expect([response.status, response.headers['access-control-allow-origin']]).toEqual([200, 'null'])
  })

  it('admits a same-origin request of a browser if its own origin is a domain of the policy', async () => {
    const { app } = protectedApp(
      { domainProtect: { mode: 'enforce', domains: ['http://gateway.example'] } },
      guards,
    )
    const headers = { 'x-app-id': APP, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }
    await request(app)
      .get('/')
      .set({ ...headers, host: 'gateway.example' })
      .expect(200)
    await request(app)
      .get('/')
      .set({ ...headers, host: 'Gateway.example:80' })
      .expect(200)
    for (const host of ['other.example', 'x/.gateway.example', 'gateway.example/', 'a@gateway.example']) {
      await request(app)
        .get('/')
        .set({ ...headers, host })
        .expect(403)
    }
  })

  it('changes nothing in report mode: no headers, no answer to a preflight', async () => {
    const sections = { domainProtect: { ...SECTIONS.domainProtect, mode: 'report' } } as const
    const { app, reached } = protectedApp(sections, (policies) => [
      domainProtect({ policies, appId: appIdFrom({ query: 'app' }) }),
    ])
    for (const origin of ['https://example.org', 'https://evil.example']) {
      const response = await request(app).get(`/?app=${APP}`).set({ origin })
      expect(response.status).toBe(200)
      expect(response.headers['access-control-allow-origin']).toBeUndefined()
      expect(response.headers['vary']).toBeUndefined()
      await request(app)
        .options(`/?app=${APP}`)
        .set({ origin, 'access-control-request-method': 'PUT' })
        .expect(200)
    }
    expect(reached).toHaveLength(4)
  })

  describe('preflights', () => {
    const preflight = (app: express.Express, path: string, origin: string) =>
      request(app).options(path).set({
        origin,
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'x-app-id,content-type',
      })

    it('are answered for the app in the query', async () => {
      const { app, reached } = protectedApp(SECTIONS, (policies) => [
        domainProtect({ policies, appId: appIdFrom({ query: 'app' }) }),
      ])
      const response = await preflight(app, `/?app=${APP}`, 'https://example.org')
      expect(response.status).toBe(204)
      expect(response.headers['access-control-allow-origin']).toBe('https://example.org')
      expect(response.headers['access-control-allow-methods']).toContain('PUT')
      expect(response.headers['access-control-allow-headers']).toBe('x-app-id,content-type')
      expect(response.headers['access-control-allow-credentials']).toBeUndefined()
      const foreign = await preflight(app, `/?app=${APP}`, 'https://evil.example')
      expect(foreign.status).toBe(403)
      expect(foreign.headers['access-control-allow-origin']).toBeUndefined()
      expect(reached).toEqual([])
    })

    it('are answered from the domains of all apps if they name no app, whichever guard runs first', async () => {
      const sections: Partial<PolicyInput> = {
        ...SECTIONS,
        ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
        regionPin: { mode: 'enforce' },
      }
      const { app, reached } = protectedApp(sections, (policies) => [
        ipWhitelist({ policies }),
        regionPin({ policies, here: 'london', country: () => undefined }),
        domainProtect({ policies }),
      ])
      for (const origin of ['https://example.org', 'https://x.example.net:8443']) {
        const response = await preflight(app, '/', origin)
        expect([response.status, response.headers['access-control-allow-origin']]).toEqual([204, origin])
      }
      for (const origin of ['https://evil.example', 'https://example.net:8443', 'null', 'garbage', '']) {
        const response = await preflight(app, '/', origin)
        expect([response.status, response.body.code]).toEqual([403, 'ORIGIN_NOT_ALLOWED'])
        expect(response.headers['access-control-allow-origin']).toBeUndefined()
      }
      expect(reached).toEqual([])
    })

    it('do not affect the following request, which is judged by its own app', async () => {
      const store = memoryStore([
        { policy: { appId: 'a', domainProtect: { mode: 'enforce', domains: ['https://a.example'] } } },
        { policy: { appId: 'b', domainProtect: { mode: 'enforce', domains: ['https://b.example'] } } },
      ])
      const app = express().use(
        domainProtect({ policies: createPolicySource({ store }) }),
        (_req, res) => void res.json({}),
      )
      await preflight(app, '/', 'https://b.example').expect(204)
      await request(app).put('/').set({ 'x-app-id': 'b', origin: 'https://b.example' }).expect(200)
      await request(app).put('/').set({ 'x-app-id': 'a', origin: 'https://b.example' }).expect(403)
    })

    it('need no country, return URL or signature if their app is known', async () => {
      const sections = { ...SECTIONS, regionPin: { mode: 'enforce' } } as const
      const { app } = protectedApp(sections, (policies) => [
        regionPin({ policies, appId: () => APP, here: 'london', country: () => undefined }),
        domainProtect({ policies, appId: () => APP }),
      ])
      await preflight(app, '/', 'https://example.org').expect(204)
      await preflight(app, '/', 'https://evil.example').expect(403)
    })

    for (const mode of ['report', 'off'] as const) {
      it(`are ignored by a guard in mode ${mode}, even if the policy has domains`, async () => {
        const { app, reached } = protectedApp({ ...SECTIONS, regionPin: { mode } }, (policies) => [
          regionPin({ policies, appId: () => APP, here: 'london', country: () => undefined }),
        ])
        for (const origin of ['https://example.org', 'https://evil.example']) {
          const response = await preflight(app, '/', origin)
          expect([response.status, response.headers['access-control-allow-origin']]).toEqual([200, undefined])
        }
        expect(reached).toHaveLength(2)
      })
    }

    it('never reach the handler through a guard that enforces, even without domainProtect', async () => {
      const { app, reached } = protectedApp({ regionPin: { mode: 'enforce' } }, (policies) => [
        regionPin({ policies, appId: () => APP, here: 'london', country: () => undefined }),
      ])
      await preflight(app, '/', 'https://example.org').expect(403)
      expect(reached).toEqual([])
    })

    it('do not include OPTIONS without Access-Control-Request-Method, which is judged like other requests', async () => {
      const { app, reached } = protectedApp(SECTIONS, guards)
      const response = await request(app).options('/').set({ 'x-app-id': APP, origin: 'https://example.org' })
      expect([response.status, response.headers['access-control-allow-origin']]).toEqual([
        200,
        'https://example.org',
      ])
      expect(reached).toEqual(['OPTIONS /'])
    })

    it('do not include other methods with Access-Control-Request-Method, which are judged like other requests', async () => {
      const { app } = protectedApp(SECTIONS, guards)
      await request(app)
        .post('/')
        .set({ origin: 'https://example.org', 'access-control-request-method': 'PUT' })
        .expect(401)
    })

    it('get 503 and no grants if the store cannot search for origins', async () => {
      const policies = createPolicySource({
        store: { read: async () => undefined, appsByOrigin: async () => Promise.reject(new Error('down')) },
      })
      const app = express().use(domainProtect({ policies }))
      const response = await preflight(app, '/', 'https://example.org')
      expect([response.status, response.body.code]).toEqual([503, 'POLICY_UNAVAILABLE'])
      expect(response.headers['access-control-allow-origin']).toBeUndefined()
    })

    it('are refused as unidentified if the store has no index of origins', async () => {
      const policies = createPolicySource({ store: { read: async () => undefined } })
      const app = express().use(domainProtect({ policies }))
      const response = await preflight(app, '/', 'https://example.org')
      expect([response.status, response.body.code]).toEqual([401, 'APP_UNIDENTIFIED'])
    })
  })

  it('may concern different apps at two mounts of one application', async () => {
    const store = memoryStore([
      { policy: { appId: 'a', domainProtect: { mode: 'enforce', domains: ['https://a.example'] } } },
      { policy: { appId: 'b', domainProtect: { mode: 'enforce', domains: ['https://b.example'] } } },
    ])
    const policies = createPolicySource({ store })
    const app = express().use(
      domainProtect({ policies, appId: () => 'a' }),
      domainProtect({ policies, appId: () => 'b' }),
      (_req, res) => void res.json({}),
    )
    await request(app).get('/').set({ origin: 'https://a.example' }).expect(403)
    await request(app).get('/').set({ origin: 'https://b.example' }).expect(403)
  })
})
