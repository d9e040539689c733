import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import request from 'supertest'
import {
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryStore,
  regionPin,
  returnUrlGuard,
  type PolicySource,
} from 'portcullis'
import { APP } from '../../support/protected-app.ts'

type Mount = (policies: PolicySource) => unknown

const HERE = 'https://example.org'
const ELSEWHERE = 'https://elsewhere.example'

/** A guard, with a section that admits the request below, and one that refuses it. */
const mounts: [name: string, mount: Mount, admits: object, refuses: object][] = [
  [
    'ipWhitelist',
    (policies) => ipWhitelist({ policies }),
    { ranges: ['127.0.0.0/8', '::1'] },
    { ranges: ['203.0.113.0/24'] },
  ],
  ['domainProtect', (policies) => domainProtect({ policies }), { domains: [HERE] }, { domains: [ELSEWHERE] }],
  [
    'returnUrlGuard',
    (policies) => returnUrlGuard({ policies, returnUrl: { query: 'return_url' } }),
    { urls: [`${HERE}/`] },
    { urls: [`${ELSEWHERE}/`] },
  ],
  [
    'regionPin',
    (policies) => regionPin({ policies, here: 'london', country: () => undefined }),
    { fallback: 'europe' },
    { fallback: 'world' },
  ],
]

const sourceOf = (name: string, section: object): PolicySource =>
  createPolicySource({
    store: memoryStore([{ policy: { appId: APP, [name]: { mode: 'enforce', ...section } } }]),
  })

describe('two mounts with different sources each judge a request by their own policy:', () => {
  for (const [name, mount, admits, refuses] of mounts) {
    for (const temperature of ['cold', 'warm']) {
      for (const [how, sections, status] of [
        ['both admit', [admits, admits], 200],
        ['the first refuses', [refuses, admits], undefined],
        ['the second refuses', [admits, refuses], undefined],
        ['the second refuses, and a third admits', [admits, refuses, admits], undefined],
      ] as const) {
        it(`${name}, ${temperature} sources, ${how}`, async () => {
          const sources = sections.map((section) => sourceOf(name, section))
          if (temperature === 'warm') for (const source of sources) await source.load(APP)
          let reached = false
          const app = express().use(...(sources.map(mount) as RequestHandler[]), (_req, res) => {
            reached = true
            res.end()
          })
          const response = await request(app)
            .get(`/?return_url=${encodeURIComponent(`${HERE}/`)}`)
            .set({ 'x-app-id': APP, origin: HERE })
          expect(reached).toBe(status === 200)
          if (status === 200) expect(response.status).toBe(200)
          else expect([400, 403, 421]).toContain(response.status)
        })
      }
    }
  }

  it('an app that only the first source has is unknown to the second', async () => {
    const [, mount, admits] = mounts[0] as (typeof mounts)[number]
    const known = sourceOf('ipWhitelist', admits)
    const unknown = createPolicySource({ store: memoryStore() })
    for (const sources of [
      [known, unknown],
      [unknown, known],
    ]) {
      const app = express().use(...(sources.map(mount) as RequestHandler[]), (_req, res) => void res.end())
      const response = await request(app).get('/').set('x-app-id', APP)
      expect([response.status, response.body.code]).toEqual([401, 'APP_UNKNOWN'])
    }
  })

  it('two mounts with different app ids judge both apps', async () => {
    const store = memoryStore([
      { policy: { appId: 'one', ipWhitelist: { mode: 'enforce', ranges: ['0.0.0.0/0', '::/0'] } } },
      { policy: { appId: 'two', ipWhitelist: { mode: 'enforce', ranges: [] } } },
    ])
    const policies = createPolicySource({ store })
    const guards = ['x-first', 'x-second'].map((header) =>
      ipWhitelist({ policies, appId: (req) => String(req.headers[header]) }),
    ) as RequestHandler[]
    const app = express().use(...guards, (req, res) => void res.json(req.portcullis.appId))
    const ask = async (first: string, second: string) =>
      (await request(app).get('/').set({ 'x-first': first, 'x-second': second })).status
    expect([await ask('one', 'one'), await ask('one', 'two'), await ask('two', 'one')]).toEqual([
      200, 403, 403,
    ])
  })
})
