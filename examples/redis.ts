// Policies, nonces and audit in Redis. VAULT_KEY (openssl rand -base64 32) encrypts the keys of apps; keep its value.
import type { AddressInfo } from 'node:net'
import express from 'express'
import { Redis } from 'ioredis'
import { auditAccess, bodyParsers, createPolicySource, serverOnly } from 'portcullis'
import { redisAuditSink, redisNonces, redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'

const redis = new Redis(process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379', {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  socketTimeout: 5_000,
})
redis.on('error', (error) => console.error(error.message))
const vault = createVault({ keys: [{ id: 'first', key: process.env['VAULT_KEY'] ?? '' }] })
const store = redisStore(redis, { vault })
const policies = createPolicySource({ store })

// In production, a dashboard does this. The first process to start writes the app.
if ((await store.read('example-shop')) === undefined) {
  const policy = {
    appId: 'example-shop',
    serverOnly: { mode: 'enforce' },
    auditAccess: { mode: 'enforce' },
  }
  const secret = process.env['APP_SECRET'] ?? ''
  await store.write({ policy, keys: [{ id: 'key-1', algorithm: 'hmac-sha256', secret }] }, 0, {
    author: 'examples/redis.ts',
  })
}

const app = express()
const audit = auditAccess({ policies, sink: redisAuditSink(redis) })
app.use('/auth', audit, bodyParsers(), serverOnly({ policies, nonces: redisNonces(redis) }))
app.post('/auth/connect', (req, res) => {
  res.json({ app: req.portcullis.appId, revision: req.portcullis.revision })
})

const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => {
  server.close(() => {
    void audit.close().finally(() => {
      policies.close()
      store.close()
      redis.disconnect()
    })
  })
})
