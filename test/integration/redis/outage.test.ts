import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { Redis } from 'ioredis'
import { bodyParsers, createPolicySource, protect, type PolicySource } from 'portcullis'
import { signedFetch } from 'portcullis/client'
import { readAuditStream, redisAuditSink, redisNonces, redisStore, type RedisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { APP, KEY, listening } from '../../support/protected-app.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import { within } from '../../support/turns.ts'
import { eventually } from '../../support/policy-process.ts'

const POLICY = {
  appId: APP,
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}

describe('all six guards with Redis', () => {
  let server: RedisServer
  let redis: Redis
  let store: RedisStore
  let policies: PolicySource

  beforeAll(async () => {
    server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    redis = new Redis(server.url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      disconnectTimeout: 50,
      lazyConnect: true,
      retryStrategy: () => 50,
    })
    redis.on('error', () => undefined)
    await redis.connect()
    store = redisStore(redis, { vault: createVault({ keys: [{ id: 'k', key: randomBytes(32) }] }) })
    await store.write({ policy: POLICY, keys: [KEY] }, 0)
    policies = createPolicySource({ store, maxStale: 1_000 })
  })

  afterAll(async () => {
    policies.close()
    store.close()
    redis.disconnect()
    await server.stop()
  })

  function app(): express.Express {
    const guards = protect({
      policies,
      nonces: redisNonces(redis),
      sink: redisAuditSink(redis),
      here: 'frankfurt',
      country: () => 'FR',
      returnUrl: (req) => (req.body as { return_url?: unknown } | undefined)?.return_url,
    }) as RequestHandler
    return express().use(bodyParsers() as RequestHandler, guards, (req: Request, res: Response) => {
      const person = req.portcullis.audit.person('7', { email: 'alice@example.org' })
      res.json({ email: person.email })
    })
  }

  const send = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP, origin: 'https://example.org' })
  const call = (origin: string): ReturnType<typeof fetch> =>
    send(`${origin}/connect`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ return_url: 'https://example.org/callback/x' }),
    })

  it('allow a good request, and store its events before they answer', async () => {
    await listening(app(), async (origin) => {
      const response = await call(origin)
      expect([response.status, await response.json()]).toEqual([200, { email: 'alice@example.org' }])
      const events = await readAuditStream(redis)
      expect(events.map(({ event }) => event.kind)).toEqual(['field', 'operation'])
      expect(JSON.stringify(events)).not.toMatch(/alice|127\.0\.0\.1/)
    })
  })

  for (const fault of ['killed', 'paused'] as const) {
    it(`answer 503 with Retry-After while Redis is ${fault}, and recover when Redis is back`, async () => {
      await listening(app(), async (origin) => {
        expect((await call(origin)).status).toBe(200)
        if (fault === 'killed') await server.kill()
        else server.pause()
        try {
          // At first the policy is fresh and only the nonce cannot be claimed. Later the policy is too old.
          for (const wait of [0, 1_500]) {
            await sleep(wait)
            const response = await within(3_000, call(origin))
            expect(response.status).toBe(503)
            expect(response.headers.get('retry-after')).toMatch(/^[1-5]$/)
            expect(response.headers.get('content-type')).toBe('application/problem+json')
            expect(await response.json()).toMatchObject({
              code: expect.stringMatching(/_UNAVAILABLE$/) as unknown,
            })
          }
        } finally {
          if (fault === 'killed') await server.restart()
          else server.resume()
        }
        await eventually('requests pass again', async () => (await call(origin)).status === 200)
      })
    })
  }

  it('judge the next request by a policy that another process has changed', async () => {
    await listening(app(), async (origin) => {
      while (policies.status().feed !== 'whole') await sleep(20)
      expect((await call(origin)).status).toBe(200)
      const other = new Redis(server.url, { disconnectTimeout: 50 })
      const writer = redisStore(other)
      const { revision = 0 } = (await store.read(APP)) ?? {}
      await writer.write({ policy: { ...POLICY, ipWhitelist: { mode: 'enforce', ranges: [] } } }, revision)
      await eventually('the change is in force', async () => (await call(origin)).status === 403)
      writer.close()
      other.disconnect()
    })
  })
})
