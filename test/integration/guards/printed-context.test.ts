import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import type { Response } from 'express'
import request from 'supertest'
import { domainProtect, ipWhitelist, regionPin, type PolicySource } from 'portcullis'
import { APP, protectedApp } from '../../support/protected-app.ts'

const SECTIONS = {
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
  domainProtect: { mode: 'enforce', domains: ['https://shop.example'] },
  regionPin: { mode: 'enforce' },
} as const
const guards = (policies: PolicySource) => [
  ipWhitelist({ policies, clientAddress: () => '127.0.0.1' }),
  domainProtect({ policies }),
  regionPin({ policies, here: 'london', country: () => 'GB' }),
]
const headers = { 'x-app-id': APP, origin: 'https://shop.example', authorization: 'Bearer SECRET' }

describe('req.portcullis', () => {
  it('is written as JSON with the documented members, and nothing else of the request', async () => {
    const { app } = protectedApp(SECTIONS, guards, (req, res) => void res.json(req.portcullis))
    const { body, text } = await request(app).get('/?token=SECRET').set(headers).expect(200)
    expect(body).toEqual({
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      appId: APP,
      revision: 1,
      address: '127.0.0.1',
      returnUrls: {},
      region: { here: 'london', jurisdiction: 'europe', locations: expect.arrayContaining(['london']) },
      decisions: ['ipWhitelist', 'domainProtect', 'regionPin'].map((guard) =>
        expect.objectContaining({ guard, effect: 'allow' }),
      ),
    })
    expect(text).not.toMatch(/SECRET|headers|socket|policies/)
  })

  it('is printed with the same members', async () => {
    const { app } = protectedApp(SECTIONS, guards, (req, res) => {
      // In an object, as in `console.log({ portcullis: req.portcullis })`.
      res.send(inspect({ portcullis: req.portcullis }, { depth: 10 }))
    })
    const { text } = await request(app).get('/?token=SECRET').set(headers).expect(200)
    expect(text).toMatch(/^\{\n {2}portcullis: \{\n {4}requestId: '[0-9a-f-]{36}',\n {4}appId: 'app-1',/)
    expect(text).toContain("address: '127.0.0.1'")
    expect(text).toContain("jurisdiction: 'europe'")
    expect(text).not.toMatch(/SECRET|headers|[sS]ocket|policies/)
  })

  it('is printed before a guard has found an app, and if the client address cannot be read', async () => {
    const failing = (policies: PolicySource) => [
      ipWhitelist({
        policies,
        clientAddress: () => {
          throw new Error('no')
        },
        onDeny: (_refusal, req, res: Response) => void res.json(req.portcullis),
      }),
    ]
    const { app } = protectedApp(SECTIONS, failing)
    for (const [sent, code] of [
      [{}, 'APP_UNIDENTIFIED'],
      [headers, 'OPTION_FAILED'],
    ] as const) {
      const { body } = await request(app).get('/').set(sent)
      expect(body).toMatchObject({ decisions: [{ code }] })
      expect(Object.keys(body as object)).not.toContain('address')
    }
  })
})
