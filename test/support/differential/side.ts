import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  memoryNonces,
  safeRedirect,
  UnavailableError,
  type Decision,
  type PolicySource,
  type ProtectOptions,
} from 'portcullis'
import type { AuditEvent } from 'portcullis/audit'
import { CLOCK } from './apps.ts'
import type { Setup } from './setups.ts'

/* The common part of Express 4 and Express 5. */
interface Request extends IncomingMessage {
  readonly portcullis?: Express.Request['portcullis']
  readonly body?: unknown
  readonly originalUrl: string
  originalMethod?: string
}
interface Response extends ServerResponse {
  json(body: unknown): unknown
}
type Next = (error?: unknown) => void
type Handler = (req: Request, res: Response, next: Next) => unknown
interface App {
  (req: IncomingMessage, res: ServerResponse): void
  set(name: string, value: unknown): unknown
  use(...given: unknown[]): unknown
}
/** Express 4 or 5. */
export interface ExpressModule {
  (): unknown
  Router(): unknown
}

/** What one side recorded of a request. */
export interface Observed {
  readonly events: AuditEvent[]
  readonly told: string[]
  readonly reported: string[]
  trail: readonly Decision[]
  /** Whether a handler was reached. */
  reached: boolean
}

const PSEUDONYM_KEY = Buffer.alloc(32, 7)

/** One of the two applications that receive the same bytes, on a real server. */
export class Side {
  readonly #server: Server
  readonly #observed = new Map<string, Observed>()
  #open = 0

  /** @param guardsOf the only thing that differs */
  constructor(
    express: ExpressModule,
    setup: Setup,
    policies: PolicySource,
    guardsOf: (options: ProtectOptions) => readonly unknown[],
  ) {
    const app = express() as App
    app.set('env', 'production')
    app.set('trust proxy', setup.trustProxy)
    app.use(this.#watch, override)
    const guards = guardsOf(this.#options(setup, policies))
    const router = express.Router() as App
    addHandlers(router, (req) => (this.of(idOf(req)).reached = true))
    app.use(setup.mountPath === '' ? '/' : setup.mountPath, ...guards, router)
    app.use(answerError)
    this.#server = createServer(app as RequestListener)
    // Idle connections are kept, however busy the machine is.
    this.#server.keepAliveTimeout = 600_000
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '::', resolve))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  of(id: string): Observed {
    let observed = this.#observed.get(id)
    if (observed === undefined) {
      observed = { events: [], told: [], reported: [], trail: [], reached: false }
      this.#observed.set(id, observed)
    }
    return observed
  }

  /** Resolves when every response and its follow-up work have ended. */
  async settled(): Promise<void> {
    while (this.#open > 0) await turn()
    await turn()
    await turn()
  }

  /** Returns and removes the record of a request. */
  take(id: string): Observed {
    const observed = this.of(id)
    this.#observed.delete(id)
    return observed
  }

  readonly #watch: Handler = (req, res, next) => {
    this.#open += 1
    res.once('close', () => {
      this.of(idOf(req)).trail = req.portcullis?.decisions ?? []
      this.#open -= 1
    })
    next()
  }

  #options(setup: Setup, policies: PolicySource): ProtectOptions {
    const nonces = memoryNonces({ now: () => CLOCK })
    return {
      policies,
      sink: {
        write: (events) => {
          for (const event of events) this.of(event.requestId).events.push(event)
        },
      },
      pseudonymKey: PSEUDONYM_KEY,
      nonces: {
        claim(appId, nonce, until) {
          // One in 32 nonces cannot be claimed, on both sides.
          if (/[AB].$/.test(nonce)) throw new UnavailableError('no nonces of this name')
          return nonces.claim(appId, nonce, until)
        },
      },
      now: () => CLOCK,
      here: 'london',
      country: ({ headers }) => headers['x-test-country'],
      returnUrl: { query: 'return_url' },
      requestId: ({ headers }) => String(headers['x-request-id']),
      onDecision: ({ guard, code }, { req, app, error }) =>
        this.of(idOf(req)).told.push(`${guard} ${code} ${app?.appId} ${app?.revision} ${String(error)}`),
      onReport: ({ guard, code }, req) => this.of(idOf(req)).reported.push(`${guard} ${code}`),
      ...setup.options(policies),
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function idOf({ headers }: IncomingMessage): string {
  return String(headers['x-request-id'])
}

/** The behaviour of the package `method-override`. */
const override: Handler = (req, _res, next) => {
  const asked = req.headers['x-http-method-override']
  if (typeof asked === 'string' && asked !== '') {
    req.originalMethod = req.method ?? ''
    req.method = asked.toUpperCase()
  }
  next()
}

const PERSON = { id: 'p-1', email: 'ada@example.org', address: { city: 'Paris', zip: '75001' } }

function addHandlers(router: App, note: (req: Request) => void): void {
  const on = (path: string, handler: Handler): unknown =>
    router.use(path, (req: Request, res: Response, next: Next) => {
      note(req)
      return handler(req, res, next)
    })
  on('/echo', (req, res) => res.json(found(req)))
  on('/later', (req, res) => setImmediate(() => setImmediate(() => res.json(found(req)))))
  on('/people/:id', (req, res) => {
    const person = readPerson(req)
    if (person === undefined) return res.json({})
    if (req.originalUrl.includes('full')) return res.json(person)
    return res.json({ to: person.email, city: person.address.city })
  })
  on('/stream', (req, res) => {
    res.setHeader('Content-Type', 'text/plain')
    const person = readPerson(req)
    res.write('one,')
    setImmediate(() => {
      void person?.email
      res.end('two')
    })
  })
  on('/redirect', (req, res) => safeRedirect(res, req))
  on('/read', (req, res, next) => {
    let length = 0
    req.on('data', (chunk: Buffer) => (length += chunk.length))
    req.once('error', next).once('end', () => res.json({ length }))
    if (req.readableEnded) res.json({ length: -1 })
  })
  on('/throw', () => {
    throw Object.assign(new Error('a fault of the handler'), { status: 409 })
  })
  on('/reject', (_req, _res, next) => setImmediate(next, new Error('a later fault of the handler')))
}

/** What a handler finds in a request. */
function found({ method, originalUrl, body, portcullis }: Request): object {
  const { appId, revision, address, returnUrl, returnUrls, region, requestId } = portcullis ?? {}
  return { method, originalUrl, body, appId, revision, address, returnUrl, returnUrls, region, requestId }
}

function readPerson({ portcullis }: Request): typeof PERSON | undefined {
  return portcullis?.audit.person(PERSON.id, PERSON, { purpose: 'test' })
}

/** Distinguishes errors, and keeps existing headers. */
function answerError(error: unknown, _req: Request, res: Response, next: Next): void {
  if (res.headersSent) return next(error)
  const { status, type, code, message } = error as Record<string, unknown>
  res.statusCode = typeof status === 'number' ? status : 500
  res.json({ error: message, type, code })
}
