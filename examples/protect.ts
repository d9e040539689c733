// All six guards as one handler. Callers sign with the secret in APP_SECRET (openssl rand -base64 32).
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import {
  createPolicySource,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  type PolicyInput,
} from 'portcullis'

const policy: PolicyInput = {
  appId: 'example-shop',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}
const secret = process.env['APP_SECRET'] ?? randomBytes(32).toString('base64')
const store = memoryStore([{ policy, keys: [{ id: 'key-1', algorithm: 'hmac-sha256', secret }] }])
const policies = createPolicySource({ store })

/** The stored citizenship of the person. In this example, everybody is German. */
const countryOf = async (): Promise<string> => 'DE'

const app = express()
const guards = protect({
  policies,
  sink: memoryAuditSink(),
  nonces: memoryNonces(),
  here: 'frankfurt',
  country: countryOf,
  returnUrl: { body: 'return_url', optional: true },
  onDecision: ({ effect, guard, code, detail }) => {
    if (effect === 'deny') console.log(`${guard} ${code}: ${detail}`)
  },
})
app.use('/auth', guards)
app.post('/auth/connect', (req, res) => {
  res.json({ app: req.portcullis.appId, returnUrl: req.portcullis.returnUrl })
})

const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => {
  server.close(() => {
    void guards.close().finally(() => policies.close())
  })
})
