import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import {
  auditAccess,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryStore,
  type ManagedPolicyStore,
} from 'portcullis'
import { consoleTokens, createConsole, type ConsoleOptions, type ConsoleRight } from 'portcullis/console'
import type { SessionView } from '../../src/console/contract.ts'

export const ALL_RIGHTS: readonly ConsoleRight[] = [
  'look',
  'look-at-personal-data',
  'narrow',
  'widen',
  'keys',
  'break-glass',
]

/** The token of a person with these rights. */
export const tokenFor = (...rights: readonly ConsoleRight[]): string =>
  `token for ${rights.join('+')}`.padEnd(40, '.')

/** A person for each single right, one with all rights, and pairs that tests need. */
const PEOPLE: readonly (readonly ConsoleRight[])[] = [
  ...ALL_RIGHTS.map((right) => [right]),
  ALL_RIGHTS,
  ['look', 'narrow'],
  ['look', 'widen'],
  ['look', 'break-glass'],
]

export interface Answered {
  readonly status: number
  readonly headers: Headers
  // oxlint-disable-next-line typescript/no-explicit-any -- as a test finds it
  readonly body: any
}

export interface Client {
  readonly session: SessionView
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>
  /** The server-sent events of a path. Ends when it is no longer read. */
  stream(path: string): Promise<AsyncIterable<Uint8Array>>
}

export interface ConsoleServer {
  readonly url: string
  readonly store: ManagedPolicyStore
  readonly sink: ReturnType<typeof memoryAuditSink>
  /** Errors that the console reported as its own faults. */
  readonly faults: unknown[]
  /** Sends a request without a session, or with the given headers. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>
  /** Signs a person in, by default with all rights. */
  signIn(...rights: readonly ConsoleRight[]): Promise<Client>
  close(): Promise<void>
}

export const APP = {
  appId: 'shop',
  name: 'Shop',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.0/8'] },
  domainProtect: { mode: 'report', domains: ['https://shop.example'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://shop.example/callback/'] },
  regionPin: { mode: 'off' },
  auditAccess: { mode: 'enforce' },
} as const

export const SECRET = Buffer.alloc(32, 9).toString('base64')

export const APP_DOCUMENT = {
  policy: APP,
  keys: [{ id: 'shop-1', algorithm: 'hmac-sha256', secret: SECRET }],
} as const

/** A console on a real server at `/admin/console`, next to a route `/auth` that guards protect for the app `shop`. */
export async function startConsole({
  app = express(),
  ...given
}: Partial<ConsoleOptions> & { app?: ReturnType<typeof express> } = {}): Promise<ConsoleServer> {
  const store = given.store ?? memoryStore([APP_DOCUMENT])
  const sink = memoryAuditSink()
  const faults: unknown[] = []
  const mounted = createConsole({
    sink,
    pseudonymKey: new Uint8Array(32),
    authorize: consoleTokens(
      PEOPLE.map((rights) => ({
        token: tokenFor(...rights),
        name: rights.length > 3 ? 'Ada' : rights.join(' and '),
        rights,
      })),
    ),
    onError: (fault) => faults.push(fault),
    recentEvents: async ({ appId, requestId, since = '', limit }) =>
      sink
        .events()
        .toReversed()
        .filter(
          (event) =>
            (appId === undefined || event.appId === appId) &&
            (requestId === undefined || event.requestId === requestId) &&
            event.time >= since,
        )
        .slice(0, limit),
    ...given,
    store,
  })
  app.use('/admin/console', mounted)
  const policies = createPolicySource({ store })
  const shared = { policies, appId: () => 'shop', logger: { warn: () => undefined } } as const
  app.use(
    '/auth',
    auditAccess({ ...shared, sink }),
    domainProtect(shared),
    ipWhitelist(shared),
    (_req, res) => res.end('in'),
  )
  const server = createServer(app)
  // On a busy machine, a client may need more than the default five seconds between requests.
  server.keepAliveTimeout = 60_000
  const url = `${await listening(server)}/admin/console`

  const ask: ConsoleServer['ask'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}/api/${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }
  return {
    url,
    store,
    sink,
    faults,
    ask,
    async signIn(...rights) {
      const token = tokenFor(...(rights.length === 0 ? ALL_RIGHTS : rights))
      const { body, headers } = await ask('POST', 'session', { token })
      const session = body as SessionView
      const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
      return {
        session,
        ask: (method, path, content, more = {}) =>
          ask(method, path, content, { cookie, 'x-csrf-token': session.csrf, ...more }),
        async stream(path) {
          const { body: events } = await fetch(`${url}/api/${path}`, { headers: { cookie } })
          if (events === null) throw new Error('nothing is streamed')
          return events
        },
      }
    },
    async close() {
      policies.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
