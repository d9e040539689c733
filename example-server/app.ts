import express, { type ErrorRequestHandler, type Express, type Response } from 'express'
import helmet from 'helmet'
import type { ManagedPolicyStore, NonceStore, PolicySource } from 'portcullis'
import type { AuditSink } from 'portcullis/audit'
import { createVault } from 'portcullis/vault'
import { createAccessLog } from './access-log.ts'
import { createApi } from './api.ts'
import { demoScript, STYLE } from './assets.ts'
import { createConnections } from './connections.ts'
import { DEMO_BROWSER_APP, type DemoApp } from './demo-apps.ts'
import { createGateway } from './gateway.ts'
import { demoPage, homePage, messagePage } from './pages.ts'
import { createPeople } from './people.ts'
import { problemOf, sendProblem } from './problems.ts'
import { createSessions } from './sessions.ts'
import type { Settings } from './settings.ts'
import { StorageUnavailable, type Storage } from './storage.ts'
import type { Ukey1 } from './ukey1.ts'

export interface GatewayParts {
  readonly settings: Pick<Settings, 'region' | 'production' | 'trustProxy' | 'secrets'>
  readonly store: ManagedPolicyStore
  readonly policies: PolicySource
  readonly storage: Storage
  readonly nonces: NonceStore
  readonly sink: AuditSink
  /** Legacy; left out where no app may sign like that. */
  readonly ukey1?: Ukey1 | undefined
  /** Shown on the front page. */
  readonly demoApps: readonly DemoApp[]
  publicUrl(): string
  /** Told of faults of ours; for a log. */
  onFault(error: unknown): void
}

/** The whole gateway as an Express app that does not listen yet. */
export async function createExampleApp(parts: GatewayParts): Promise<Express> {
  const { settings, storage, policies, store } = parts
  const { secrets, region } = settings
  const vault = createVault({ keys: [{ id: 'root', key: secrets.vault }] })
  const people = await createPeople(storage, vault, secrets.emailIndex)
  const connections = createConnections(storage)
  const sessions = createSessions(storage, secrets.csrf, parts.publicUrl)

  const app = express()
  app.set('trust proxy', [...settings.trustProxy])
  app.set('query parser', 'simple')
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          styleSrc: ["'self'"],
          scriptSrc: ["'self'"],
          connectSrc: ["'self'"],
          imgSrc: ['data:'],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
          formAction: ["'self'"],
        },
      },
      strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: true, preload: true },
      referrerPolicy: { policy: 'same-origin' },
      xFrameOptions: { action: 'deny' },
    }),
  )
  app.use((req, res, next) => {
    res.set('Cache-Control', 'no-store')
    if (settings.production && !req.secure && req.path !== '/healthz') sendProblem(req, res, 'HTTPS_REQUIRED')
    else next()
  })

  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
  app.get(
    '/assets/style.css',
    (_req, res) => void res.type('css').set('Cache-Control', 'no-cache').send(STYLE),
  )
  app.get('/assets/demo.js', (_req, res) => {
    res.type('js').set('Cache-Control', 'no-cache').send(demoScript(DEMO_BROWSER_APP))
  })
  app.get('/', (_req, res) => void res.send(homePage(parts.demoApps, '/demo')))
  app.get(['/demo', '/demo/callback'], (_req, res) => void res.send(demoPage()))

  app.get(
    '/account/access-log',
    createAccessLog({
      sink: parts.sink,
      pseudonymKey: secrets.pseudonyms,
      findPerson: async (req) => (await sessions.find(req))?.personId,
    }),
  )
  app.use(
    '/auth/v2',
    createApi({
      policies,
      nonces: parts.nonces,
      sink: parts.sink,
      pseudonymKey: secrets.pseudonyms,
      connections,
      people,
      region,
      ukey1: parts.ukey1,
      publicUrl: parts.publicUrl,
      async nameOf(appId) {
        const { name } = ((await store.read(appId))?.policy ?? {}) as { name?: string }
        return name ?? appId
      },
    }),
  )
  app.use(
    '/gateway/:connectId',
    letFormsLeadBack,
    createGateway({
      policies,
      connections,
      people,
      sessions,
      region,
      ukey1: parts.ukey1,
      sink: parts.sink,
      pseudonymKey: secrets.pseudonyms,
    }),
  )

  app.use((req, res) => {
    if (isApi(req.originalUrl)) sendProblem(req, res, 'NOT_FOUND')
    else res.status(404).send(messagePage('There is nothing here', 'Please check the address.'))
  })

  const onError: ErrorRequestHandler = (error: unknown, req, res, next) => {
    if (res.headersSent) {
      next(error)
      return
    }
    const unavailable =
      error instanceof StorageUnavailable || (error as { code?: unknown }).code === 'UNAVAILABLE'
    const code = unavailable ? 'UNAVAILABLE' : problemOf(error)
    if (code === 'INTERNAL') parts.onFault(error)
    if (isApi(req.originalUrl)) sendProblem(req, res, code)
    else sendPage(res, unavailable ? 503 : code === 'INTERNAL' ? 500 : 400)
  }
  app.use(onError)
  return app
}

/** Adds the app's return URL to `form-action` once the page knows it: helmet has written the header before. */
const letFormsLeadBack: express.RequestHandler = (_req, res, next) => {
  const send = res.send.bind(res)
  res.send = (body: unknown) => {
    const target: unknown = res.locals['formTarget']
    const policy = res.getHeader('Content-Security-Policy')
    if (typeof target === 'string' && typeof policy === 'string') {
      res.set('Content-Security-Policy', policy.replace("form-action 'self'", `form-action 'self' ${target}`))
    }
    return send(body)
  }
  next()
}

function isApi(url: string): boolean {
  return /^\/auth(?:\/|\?|$)/i.test(url)
}

function sendPage(res: Response, status: 400 | 500 | 503): void {
  if (status === 503) res.set('Retry-After', '2')
  const texts = {
    400: ['This request is not valid', 'Please go back and try again.'],
    500: ['Something went wrong', 'It is our fault. Please try again.'],
    503: [
      'Please wait a moment',
      'The service is not available just now. Please try again in a few seconds.',
    ],
  } as const
  const [title, text] = texts[status]
  res.status(status).send(messagePage(title, text))
}
