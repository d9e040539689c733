// better-auth behind the guards. Its handler reads the body itself, so the body must still be readable: `replay` ensures this.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { toNodeHandler } from 'better-auth/node'
import express from 'express'
import {
  appIdFrom,
  bodyParsers,
  createPolicySource,
  domainProtect,
  memoryStore,
  returnUrlGuard,
  type PolicyInput,
} from 'portcullis'

const domains = ['https://example.org']
const policy: PolicyInput = {
  appId: 'example-shop',
  domainProtect: { mode: 'enforce', domains, credentials: true, headers: ['content-type', 'x-app-id'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/welcome/'] },
}
const policies = createPolicySource({ store: memoryStore([{ policy }]) })
// A page sends the header. A link in an email has the query parameter.
const shared = { policies, appId: appIdFrom({ header: 'x-app-id', query: 'app' }) }

const app = express()
const server = createServer(app).listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const auth = betterAuth({
  baseURL: origin,
  secret: randomBytes(32).toString('base64url'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  emailAndPassword: { enabled: true },
  // The same list as in the policy, because better-auth checks the URLs again after the guard.
  trustedOrigins: domains,
})

/** Every parameter that better-auth uses as a return URL. */
const places = ['callbackURL', 'errorCallbackURL', 'newUserCallbackURL', 'redirectTo'].flatMap((name) => [
  { query: name, optional: true, name },
  { body: name, optional: true, name },
])
app.all(
  '/api/auth/{*any}',
  domainProtect(shared),
  bodyParsers({ replay: true }),
  returnUrlGuard({ ...shared, returnUrl: places }),
  toNodeHandler(auth),
)
console.log(`listening on ${origin}`)
