// The guards in front of node-oidc-provider 9, which is mounted at `/oidc`. The authorization endpoint redirects users only to URIs
// in the client's policy. The token endpoint requires signatures from clients whose policy says so.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import Provider from 'oidc-provider'
import {
  appIdFrom,
  bodyParsers,
  createPolicySource,
  memoryNonces,
  memoryStore,
  returnUrlGuard,
  serverOnly,
  type InitialApp,
} from 'portcullis'

const secret = process.env['APP_SECRET'] ?? randomBytes(32).toString('base64')
const clientSecret = process.env['CLIENT_SECRET'] ?? randomBytes(32).toString('base64url')
const redirectUri = 'https://example.org/callback'
const returnUrls = { mode: 'enforce', urls: [{ exact: redirectUri }] } as const
const apps: readonly InitialApp[] = [
  // The server of this client signs its token requests.
  {
    policy: { appId: 'signing-shop', serverOnly: { mode: 'enforce' }, returnUrlGuard: returnUrls },
    keys: [{ id: 'key-1', algorithm: 'hmac-sha256', secret }],
  },
  // A standard client. It is identified only by its secret, which the provider checks.
  { policy: { appId: 'standard-shop', serverOnly: { mode: 'off' }, returnUrlGuard: returnUrls } },
]
const policies = createPolicySource({ store: memoryStore(apps) })

const app = express()
const server = createServer(app).listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const provider = new Provider(`${origin}/oidc`, {
  clients: apps.map(({ policy }) => ({
    client_id: policy.appId,
    client_secret: clientSecret,
    redirect_uris: [redirectUri],
  })),
  // OpenID Connect also allows authorization requests by POST, from pages of another site.
  enableHttpPostMethods: true,
  cookies: { keys: [randomBytes(32).toString('base64url')], long: { sameSite: 'none' } },
})

// Only the exact path. The paths below it continue a sign-in and do not name a client. `replay` keeps the body readable for the
// provider, which reads it itself.
app.all(
  '/oidc/auth',
  bodyParsers({ replay: true }),
  returnUrlGuard({
    policies,
    appId: appIdFrom({ query: 'client_id', body: 'client_id' }),
    returnUrl: [
      { query: 'redirect_uri', optional: true, name: 'uri' },
      { body: 'redirect_uri', optional: true, name: 'uri' },
    ],
    reserved: ['code', 'state', 'iss', 'error'],
  }),
)
app.use(
  '/oidc/token',
  bodyParsers({ replay: true }),
  serverOnly({
    policies,
    nonces: memoryNonces(),
    appId: appIdFrom({ basic: true, body: 'client_id' }),
    // Clients expect the errors of RFC 6749.
    onDeny: ({ code }, _req, res) => {
      const isTemporary = code.endsWith('_UNAVAILABLE') || code === 'OPTION_FAILED'
      res.statusCode = isTemporary ? 503 : 401
      res.setHeader('content-type', 'application/json')
      res.end(JSON.stringify({ error: isTemporary ? 'temporarily_unavailable' : 'invalid_client' }))
    },
  }),
)
app.use('/oidc', provider.callback())
console.log(`listening on ${origin}`)
