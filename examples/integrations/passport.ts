// Passport with its local strategy and a session. The return URL is judged twice: when the request names it, and again when it is
// used.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import { Strategy } from 'passport-local'
import {
  appIdFrom,
  createPolicySource,
  domainProtect,
  memoryStore,
  returnUrlGuard,
  safeRedirect,
  type PolicyInput,
} from 'portcullis'

declare module 'express-session' {
  interface SessionData {
    returnTo?: string
  }
}
declare global {
  // The namespace that Passport's types leave for applications to extend.
  namespace Express {
    interface User {
      name: string
    }
  }
}

const password = process.env['PASSWORD'] ?? randomBytes(12).toString('base64url')
passport.use(
  new Strategy((name, given, done) => {
    const [one, other] = [Buffer.from(given.padEnd(64)), Buffer.from(password.padEnd(64))]
    const isRight = name === 'alice' && one.length === other.length && timingSafeEqual(one, other)
    done(null, isRight ? { name } : false)
  }),
)
passport.serializeUser((user, done) => done(null, user.name))
passport.deserializeUser((name: string, done) => done(null, { name }))

const app = express()
const server = createServer(app).listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const policy: PolicyInput = {
  appId: 'example-shop',
  // The origin of the sign-in page, which submits the form.
  domainProtect: { mode: 'enforce', domains: [origin] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
}
const policies = createPolicySource({ store: memoryStore([{ policy }]) })
const shared = { policies, appId: appIdFrom({ query: 'app' }) }
const sessions = session({
  secret: randomBytes(32).toString('base64url'),
  resave: false,
  saveUninitialized: false,
})

// The guards run before the session middleware, so refused requests do not create sessions.
app.get('/login', returnUrlGuard({ ...shared, returnUrl: { query: 'return_url' } }), sessions, (req, res) => {
  const { returnUrl, appId = '' } = req.portcullis
  if (returnUrl !== undefined) req.session.returnTo = returnUrl
  res.send(
    `<form method="post" action="/login?app=${encodeURIComponent(appId)}">
    <input name="username"><input name="password" type="password"><button>Sign in</button></form>`,
  )
})
app.post(
  '/login',
  domainProtect(shared),
  sessions,
  // The policy may have changed in the meantime, or the request may name another app.
  returnUrlGuard({ ...shared, returnUrl: (req) => (req as express.Request).session.returnTo }),
  express.urlencoded(),
  // Passport creates a new session without `returnTo`, which was valid for one sign-in.
  passport.authenticate('local'),
  (req, res) => safeRedirect(res, req),
)
app.get('/me', sessions, passport.session(), (req, res) => {
  res.json({ name: req.user?.name ?? null })
})
console.log(`listening on ${origin}`)
