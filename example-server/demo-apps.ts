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

/** Where the printed command waits for the person to come back: on this machine, on any port (RFC 8252, 7.3). */
const COMMAND_LINE = 'http://127.0.0.1:*/callback/'

/** Origins of earlier starts that are still admitted, when several share one Redis. */
const MOST_ORIGINS = 24

/** What the commands to try need to know. */
export interface DemoFacts {
  /** Of the server app; known only when it was made now. */
  readonly secret: string | undefined
  /** An origin of the browser app. */
  readonly origin: string
}

/**
 * Writes the two demo apps where they are not there yet. Where they are, the browser app follows to the addresses of this
 * start; all else stays as it is.
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

/** Admits the addresses of this start, and those of the latest others: they may run beside it. */
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

/** `localhost` for `127.0.0.1` and the other way round: people type both. */
function loopbackTwin(origin: string): string[] {
  const { hostname } = new URL(origin)
  if (hostname === '127.0.0.1') return [origin.replace('127.0.0.1', 'localhost')]
  return hostname === 'localhost' ? [origin.replace('localhost', '127.0.0.1')] : []
}
