import { randomBytes } from 'node:crypto'
import type { ManagedPolicyStore } from 'portcullis'

export const DEMO_SERVER_APP = 'demo-server'
export const DEMO_BROWSER_APP = 'demo-browser'
export const KEY_ID = 'demo-server-1'

export interface DemoApp {
  readonly id: string
  readonly name: string
}

export const DEMO_APPS: readonly DemoApp[] = [
  { id: DEMO_SERVER_APP, name: 'Demo shop (server)' },
  { id: DEMO_BROWSER_APP, name: 'Demo shop' },
]

export const SHOP = 'https://shop.example'

/** The return URL of the printed command: on this machine, with any port (RFC 8252, 7.3). */
const COMMAND_LINE = 'http://127.0.0.1:*/callback/'

/**
 * The maximum number of origins in the policy. Those of earlier starts stay in it, because several starts may share one
 * Redis.
 */
const MOST_ORIGINS = 24

/** Facts about the demo apps that the printed commands need. */
export interface DemoFacts {
  /** The secret of the server app. It is known only if this start created the app. */
  readonly secret: string | undefined
  /** An origin that the browser app may use. */
  readonly origin: string
}

/**
 * Creates the two demo apps if they do not exist. If they exist, adds the origins of this start to the browser app, and
 * changes nothing else.
 */
export async function createDemoApps(
  store: ManagedPolicyStore,
  publicUrls: readonly string[],
): Promise<DemoFacts> {
  const [server, browser] = DEMO_APPS as [DemoApp, DemoApp]
  const common = { regionPin: { mode: 'enforce' }, auditAccess: { mode: 'enforce' } }
  const origins = publicUrls.flatMap((url) => [url, ...loopbackTwin(url)])
  const secret = randomBytes(32).toString('base64')
  const made = await writeNew(store, {
    policy: {
      appId: server.id,
      name: server.name,
      ...common,
      serverOnly: { mode: 'enforce' },
      ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
      domainProtect: { mode: 'enforce', domains: [SHOP] },
      returnUrlGuard: { mode: 'enforce', urls: [`${SHOP}/callback/`, COMMAND_LINE] },
    },
    keys: [{ id: KEY_ID, algorithm: 'hmac-sha256', secret }],
  })
  const isNew = await writeNew(store, {
    policy: {
      appId: browser.id,
      name: browser.name,
      ...common,
      serverOnly: { mode: 'off' },
      ipWhitelist: { mode: 'off' },
      ...sectionsFor(origins),
    },
  })
  if (!isNew) await follow(store, browser.id, origins)
  return { secret: made ? secret : undefined, origin: publicUrls[0] ?? '' }
}

const sectionsFor = (origins: readonly string[]) => ({
  domainProtect: { mode: 'enforce', domains: origins },
  returnUrlGuard: { mode: 'enforce', urls: origins.map((origin) => `${origin}/demo/callback/`) },
})

/** Adds the origins of this start. Those of the latest other starts stay, because these servers may still run. */
async function follow(store: ManagedPolicyStore, appId: string, origins: readonly string[]): Promise<void> {
  const stored = await store.read(appId)
  const policy = stored?.policy as { domainProtect?: { domains?: readonly string[] } } | undefined
  const known = policy?.domainProtect?.domains ?? []
  if (stored === undefined || origins.every((origin) => known.includes(origin))) return
  const all = [...new Set([...origins, ...known])].slice(0, MOST_ORIGINS)
  await store.write({ policy: { ...(stored.policy as object), ...sectionsFor(all) } }, stored.revision)
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

/** `localhost` for `127.0.0.1` and the reverse, because people type both. */
function loopbackTwin(origin: string): string[] {
  const { hostname } = new URL(origin)
  if (hostname === '127.0.0.1') return [origin.replace('127.0.0.1', 'localhost')]
  return hostname === 'localhost' ? [origin.replace('localhost', '127.0.0.1')] : []
}
