import { randomBytes } from 'node:crypto'
import type { ManagedPolicyStore } from 'portcullis'

export const DEMO_SERVER_APP = 'demo-server'
export const DEMO_BROWSER_APP = 'demo-browser'
const KEY_ID = 'demo-server-1'

export interface DemoApp {
  readonly id: string
  readonly name: string
}

export const DEMO_APPS: readonly DemoApp[] = [
  { id: DEMO_SERVER_APP, name: 'Demo shop (server)' },
  { id: DEMO_BROWSER_APP, name: 'Demo shop' },
]

const SHOP = 'https://shop.example'

/** What the commands to try need to know. */
export interface DemoFacts {
  /** Of the server app; known only when it was made now. */
  readonly secret: string | undefined
  /** An origin of the browser app. */
  readonly origin: string
}

/** Writes the two demo apps where they are not there yet. Those that are there stay as they are. */
export async function createDemoApps(store: ManagedPolicyStore, publicUrl: string): Promise<DemoFacts> {
  const [server, browser] = DEMO_APPS as [DemoApp, DemoApp]
  const common = { regionPin: { mode: 'enforce' }, auditAccess: { mode: 'enforce' } }
  const ownOrigins = [publicUrl, loopbackTwin(publicUrl)].filter((origin) => origin !== undefined)
  const secret = randomBytes(32).toString('base64')
  const made = await writeNew(store, {
    policy: {
      appId: server.id,
      name: server.name,
      ...common,
      serverOnly: { mode: 'enforce' },
      ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
      domainProtect: { mode: 'enforce', domains: [SHOP] },
      returnUrlGuard: { mode: 'enforce', urls: [`${SHOP}/callback/`] },
    },
    keys: [{ id: KEY_ID, algorithm: 'hmac-sha256', secret }],
  })
  await writeNew(store, {
    policy: {
      appId: browser.id,
      name: browser.name,
      ...common,
      serverOnly: { mode: 'off' },
      ipWhitelist: { mode: 'off' },
      domainProtect: { mode: 'enforce', domains: ownOrigins },
      returnUrlGuard: { mode: 'enforce', urls: ownOrigins.map((origin) => `${origin}/demo/callback/`) },
    },
  })
  const stored = (await store.read(browser.id))?.policy as
    { domainProtect?: { domains?: string[] } } | undefined
  return { secret: made ? secret : undefined, origin: stored?.domainProtect?.domains?.[0] ?? publicUrl }
}

async function writeNew(
  store: ManagedPolicyStore,
  app: Parameters<ManagedPolicyStore['write']>[0],
): Promise<boolean> {
  const { appId } = app.policy as { appId: string }
  if ((await store.read(appId)) !== undefined) return false
  await store.write(app, 0)
  return true
}

/** `localhost` for `127.0.0.1` and the other way round: people type both. */
function loopbackTwin(origin: string): string | undefined {
  const { hostname } = new URL(origin)
  if (hostname === '127.0.0.1') return origin.replace('127.0.0.1', 'localhost')
  return hostname === 'localhost' ? origin.replace('localhost', '127.0.0.1') : undefined
}

/** What is printed when the server is up. */
export function banner(url: string, { secret, origin }: DemoFacts, notes: readonly string[]): string {
  const connect = `${url}/auth/v2/connect`
  const body = (returnUrl: string): string =>
    `'${JSON.stringify({ request_id: '1', scope: 'firstname! email', return_url: returnUrl })}'`
  const curl = (...headers: string[]): string =>
    ['curl -i', ...headers.map((header) => `-H '${header}'`), `-H 'content-type: application/json'`].join(' ')
  const own = `${origin}/demo/callback/`
  const signed =
    secret === undefined
      ? '   (the secret of the demo server app was printed when it was made; set DEMO_SECRET to it)\n' +
        `   node --import tsx example-server/connect.ts ${url}`
      : `   DEMO_SECRET='${secret}' node --import tsx example-server/connect.ts ${url}`
  return `
Portcullis example gateway: ${url}
${notes.map((note) => `  - ${note}\n`).join('')}
Sign in as a person, through a browser app:  ${url}/demo

Demo apps
  ${DEMO_SERVER_APP}   calls from a server; key id ${KEY_ID}${secret === undefined ? '' : `, secret ${secret}`}
  ${DEMO_BROWSER_APP}  calls from a browser; it has no secret, its origin protects it

Paste into another terminal, in this folder:

1. A signed request of the server app. It passes (200), and prints a gateway link:
${signed}

2. The same without a signature. Refused: 401 SIGNATURE_REQUIRED
   ${curl(`x-app-id: ${DEMO_SERVER_APP}`, `x-origin: ${SHOP}`)} -d ${body(`${SHOP}/callback/`)} ${connect}

3. The browser app from a foreign page. Refused: 403 ORIGIN_NOT_ALLOWED
   ${curl(`x-app-id: ${DEMO_BROWSER_APP}`, 'origin: https://evil.example')} -d ${body(own)} ${connect}

4. The browser app, to send the person elsewhere. Refused: 400 RETURN_URL_NOT_ALLOWED
   ${curl(`x-app-id: ${DEMO_BROWSER_APP}`, `origin: ${origin}`)} -d ${body('https://evil.example/')} ${connect}
`
}
