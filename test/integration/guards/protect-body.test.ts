import { describe, expect, it } from '@jest/globals'
import express, { type NextFunction, type Request, type Response } from 'express'
import {
  appIdFrom,
  createPolicySource,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  type PolicyInput,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'

const OURS = 'https://example.org'
const ENFORCED = { mode: 'enforce' } as const
const EVERYBODY = { ...ENFORCED, ranges: ['0.0.0.0/0', '::/0'] }
const appId = appIdFrom({ query: 'app' })

describe('the body options of protect', () => {
  const sections: Partial<PolicyInput> = {
    auditAccess: ENFORCED,
    regionPin: ENFORCED,
    ipWhitelist: EVERYBODY,
    domainProtect: { ...ENFORCED, domains: [OURS], server: 'none' },
    serverOnly: ENFORCED,
    returnUrlGuard: { ...ENFORCED, urls: [`${OURS}/`] },
  }
  const body = 'plain text'

  it.each<[what: string, options: object, status: number]>([
    [
      'keep the bytes of a body of another type, so that its digest is checked',
      { bodyKeep: ['text/*'] },
      200,
    ],
    ['keep those of every type', { bodyKeep: true }, 200],
    ['keep those of no other type', { bodyKeep: ['image/png'] }, 401],
    ['keep none where they are left out', {}, 401],
    ['keep none beyond the limit', { bodyKeep: true, bodyLimit: 4 }, 413],
  ])('%s', async (_what, options, status) => {
    const policies = createPolicySource({
      store: memoryStore([{ policy: { appId: APP, ...sections }, keys: [KEY] }]),
    })
    const guard = protect({
      policies,
      appId,
      sink: memoryAuditSink(),
      nonces: memoryNonces(),
      here: 'london',
      country: () => 'DE',
      returnUrl: { query: 'to' },
      ...options,
    })
    const app = express().use(guard, (_req, res) => void res.end('handled'))
    app.use((error: { status: number }, _req: Request, res: Response, _next: NextFunction) => {
      res.status(error.status).end()
    })
    await listening(app, async (origin) => {
      const url = `${origin}/?app=${APP}&to=${encodeURIComponent(`${OURS}/`)}`
      const given = { method: 'POST', url, body, headers: { 'content-type': 'text/plain' } }
      const headers = await signRequest(given, { keyId: KEY.id, secret: KEY.secret })
      expect((await fetch(url, { method: 'POST', body, headers })).status).toBe(status)
    })
  })
})
