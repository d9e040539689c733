// Two endpoints of an OAuth server. `/authorize` redirects users only to redirect URIs of the client. `/token` admits only servers
// of the client, which sign with the secret in APP_SECRET. Refusals are the errors of RFC 6749.
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import {
  bodyParsers,
  appIdFrom,
  createPolicySource,
  memoryNonces,
  memoryStore,
  returnUrlGuard,
  safeRedirect,
  serverOnly,
  type PolicyInput,
} from 'portcullis'

const policy: PolicyInput = {
  appId: 'example-shop',
  serverOnly: { mode: 'enforce' },
  returnUrlGuard: { mode: 'enforce', urls: [{ exact: 'https://example.org/callback' }] },
}
const secret = process.env['APP_SECRET'] ?? randomBytes(32).toString('base64')
const store = memoryStore([{ policy, keys: [{ id: 'key-1', algorithm: 'hmac-sha256', secret }] }])
const policies = createPolicySource({ store })
/** Codes that were issued but not used yet, each with its client. */
const codes = new Map<string, string>()

/** The client named in the body of a token request. */
function clientIn(body: unknown): string | undefined {
  const { client_id: id } = (body ?? {}) as { client_id?: unknown }
  return typeof id === 'string' ? id : undefined
}

const app = express()
app.get(
  '/authorize',
  returnUrlGuard({
    policies,
    appId: appIdFrom({ query: 'client_id' }),
    returnUrl: { query: 'redirect_uri' },
    reserved: ['code', 'state'],
  }),
  (req, res) => {
    // Here the user would sign in and give consent.
    const code = randomBytes(16).toString('base64url')
    codes.set(code, req.portcullis.appId ?? '')
    const { state } = req.query as { state?: unknown }
    safeRedirect(res, req, { parameters: { code, state: typeof state === 'string' ? state : undefined } })
  },
)
app.use(
  '/token',
  bodyParsers(),
  serverOnly({
    policies,
    nonces: memoryNonces(),
    appId: (req) => clientIn(req.body),
    onDeny: ({ code }, _req, res) => {
      res.statusCode = code.endsWith('_UNAVAILABLE') || code === 'OPTION_FAILED' ? 503 : 401
      res.setHeader('content-type', 'application/json')
      res.end(
        JSON.stringify({ error: res.statusCode === 503 ? 'temporarily_unavailable' : 'invalid_client' }),
      )
    },
  }),
)
app.post('/token', (req, res) => {
  const { code } = req.body as { code?: unknown }
  const client = typeof code === 'string' ? codes.get(code) : undefined
  if (typeof code !== 'string' || client !== req.portcullis.appId) {
    res.status(400).json({ error: 'invalid_grant' })
    return
  }
  codes.delete(code)
  res.json({ access_token: randomBytes(32).toString('base64url'), token_type: 'Bearer', expires_in: 900 })
})

const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
