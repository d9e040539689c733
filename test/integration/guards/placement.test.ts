import cors from 'cors'
import express, { type RequestHandler } from 'express'
import helmet from 'helmet'
import { describe, expect, it } from '@jest/globals'
import {
  bodyParsers,
  createPolicySource,
  domainProtect,
  memoryNonces,
  memoryStore,
  serverOnly,
} from 'portcullis'
import { signedFetch } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'

// Tests what docs/placement.md says about other middleware, on the Express version of this project.

const PAGE = 'https://example.org'
const policies = createPolicySource({
  store: memoryStore([
    {
      policy: {
        appId: APP,
        serverOnly: { mode: 'enforce' },
        domainProtect: { mode: 'enforce', domains: [PAGE] },
      },
      keys: [KEY],
    },
  ]),
})
const send = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP })
const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
const signed = (): RequestHandler => serverOnly({ policies, nonces: memoryNonces() })

function appOf(...handlers: readonly RequestHandler[]): express.Express {
  const app = express()
  app.use(...handlers)
  app.use((req, res) => void res.json({ body: req.body as unknown }))
  return app
}

describe('express.json()', () => {
  it('does not change what an earlier bodyParsers() has parsed', async () => {
    await listening(appOf(...bodyParsers(), signed(), express.json()), async (origin) => {
      const answer = await send(origin, json)
      expect([answer.status, await answer.json()]).toEqual([200, { body: { a: 1 } }])
    })
  })

  it('consumes the bytes if it is mounted before serverOnly', async () => {
    await listening(appOf(express.json(), ...bodyParsers(), signed()), async (origin) => {
      const answer = await send(origin, json)
      expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'DIGEST_MISMATCH' }])
    })
  })
})

describe('cors()', () => {
  const preflight = {
    method: 'OPTIONS',
    headers: { 'x-app-id': APP, origin: 'https://example.com', 'access-control-request-method': 'POST' },
  }

  it('answers the preflight of any page if it is mounted before domainProtect', async () => {
    await listening(appOf(cors(), domainProtect({ policies })), async (origin) => {
      expect((await fetch(origin, preflight)).status).toBe(204)
    })
    await listening(appOf(domainProtect({ policies })), async (origin) => {
      expect((await fetch(origin, preflight)).status).toBe(403)
    })
  })
})

describe('helmet()', () => {
  it('adds its headers to refusals if it is mounted before the guards', async () => {
    await listening(appOf(helmet(), domainProtect({ policies })), async (origin) => {
      const answer = await fetch(origin, { headers: { 'x-app-id': APP, origin: 'https://example.com' } })
      expect([answer.status, answer.headers.get('x-content-type-options')]).toEqual([403, 'nosniff'])
    })
  })
})

describe('bodyParsers()', () => {
  it('after domainProtect lets a page read its errors', async () => {
    const quiet: express.ErrorRequestHandler = (error: { status: number }, _req, res, _next) =>
      void res.sendStatus(error.status)
    const app = express()
    app.use(domainProtect({ policies }), bodyParsers())
    app.use(quiet)
    await listening(app, async (origin) => {
      const headers = { ...json.headers, 'x-app-id': APP, origin: PAGE }
      const answer = await fetch(origin, { ...json, headers, body: '{' })
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([400, PAGE])
    })
  })
})
