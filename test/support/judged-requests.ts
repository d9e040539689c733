import { once } from 'node:events'
import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import {
  createPolicySource,
  memoryNonces,
  memoryStore,
  protect,
  type AppKey,
  type AuditEvent,
  type ListEntry,
  type PolicyInput,
} from '../../src/index.ts'
import { signRequest } from '../../src/client/index.ts'
import { parseEvent, serialiseEvent } from '../../src/audit/index.ts'
import { seededRandom } from './seeded.ts'

/** The key of the facts that are stored for rejudging. */
export const JUDGED_KEY: Uint8Array = new Uint8Array(32).fill(7)

const secretOf = (appId: string): string => Buffer.alloc(32, appId).toString('base64')
const keyOf = (appId: string): AppKey => ({ id: 'key-1', algorithm: 'hmac-sha256', secret: secretOf(appId) })

/** The apps of the generated requests: one enforces, one reports, and one has servers that must sign. */
export const JUDGED_POLICIES: Readonly<Record<string, PolicyInput>> = {
  shop: {
    appId: 'shop',
    auditAccess: { mode: 'enforce', onSinkFailure: 'deny' },
    ipWhitelist: {
      mode: 'enforce',
      ranges: ['203.0.113.0/25', '2001:db8::/32'],
      deny: ['203.0.113.16/28'],
      lists: ['office'],
    },
    domainProtect: { mode: 'enforce', domains: ['https://shop.example', 'https://*.shop.example'] },
    serverOnly: { mode: 'off' },
    returnUrlGuard: {
      mode: 'enforce',
      urls: ['https://shop.example/back/', { exact: 'https://shop.example/done' }],
    },
    regionPin: { mode: 'enforce', onMisdirected: 'reject', fallback: 'europe' },
  },
  lab: {
    appId: 'lab',
    auditAccess: { mode: 'enforce', onSinkFailure: 'allow' },
    ipWhitelist: { mode: 'report', ranges: ['198.51.100.0/24'], denyLists: ['blocked'] },
    domainProtect: { mode: 'report', domains: ['https://lab.example'], server: 'signed' },
    serverOnly: { mode: 'report', maxAge: 300, requireDigest: true },
    returnUrlGuard: { mode: 'report', urls: ['https://lab.example/'] },
    regionPin: { mode: 'report', onMisdirected: 'reject' },
  },
  robots: {
    appId: 'robots',
    auditAccess: { mode: 'enforce', onSinkFailure: 'deny' },
    ipWhitelist: { mode: 'off' },
    domainProtect: {
      mode: 'enforce',
      domains: ['https://robots.example', 'https://shop.example'],
      server: 'signed',
    },
    serverOnly: { mode: 'enforce', maxAge: 300, requireDigest: true },
    returnUrlGuard: { mode: 'off' },
    regionPin: { mode: 'off' },
  },
}

/** Their named lists. `blocked` does not exist. */
export const JUDGED_LISTS: Readonly<Record<string, readonly ListEntry[]>> = {
  office: [{ range: '192.0.2.0/24' }, { range: '203.0.113.200/32', expires: '2020-01-01T00:00:00Z' }],
}

const ADDRESSES = [
  '203.0.113.7',
  '203.0.113.20',
  '203.0.113.200',
  '192.0.2.9',
  '198.51.100.4',
  '2001:db8::5',
  '10.1.1.1',
]
const ORIGINS = [
  'https://shop.example',
  'https://a.shop.example',
  'https://lab.example',
  'https://evil.example',
  'null',
]
const URLS = [
  'https://shop.example/back/1',
  'https://shop.example/done',
  'https://shop.example/done?x=1',
  'https://lab.example/a',
  'https://evil.example/',
  'javascript:alert(1)',
]
const COUNTRIES = ['DE', 'FR', 'US', 'JP', 'XX']

/** Sends generated requests through `protect()`, and passes on the events as they would be read from a log. */
export async function recordRequests(
  count: number,
  seed: number,
  take: (event: AuditEvent) => void,
  isKept = true,
): Promise<void> {
  const store = memoryStore(
    Object.values(JUDGED_POLICIES).map((policy) => ({ policy, keys: [keyOf(policy.appId)] })),
  )
  for (const [name, entries] of Object.entries(JUDGED_LISTS)) await store.writeList(name, entries, 0)
  const policies = createPolicySource({ store })
  const sink = { write: (events: readonly AuditEvent[]) => events.forEach((event) => written(event, take)) }
  const app = express()
  app.use(
    protect({
      policies,
      sink,
      logger: { warn: () => undefined },
      ...(isKept && { judgements: { key: JUDGED_KEY } }),
      nonces: memoryNonces(),
      here: 'london',
      country: (req) => req.headers['x-country'],
      returnUrl: { query: 'return_url', optional: true },
      clientAddress: { trustedProxies: ['loopback'], header: 'x-real-ip' },
    }),
    (_req, res) => void res.json({}),
  )
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await sendAll(server, count, seededRandom(seed))
  } finally {
    server.closeAllConnections()
    server.close()
    policies.close()
  }
}

/** Passes on an event as a reader of the log would find it. */
function written(event: AuditEvent, take: (event: AuditEvent) => void): void {
  const read = parseEvent(serialiseEvent(event))
  if (read !== undefined) take(read)
}

async function sendAll(server: Server, count: number, random: () => number): Promise<void> {
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  let left = count
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await sendOne(port, agent, random)
    }
  }
  await Promise.all(Array.from({ length: 32 }, worker))
  agent.destroy()
}

async function sendOne(port: number, agent: Agent, random: () => number): Promise<void> {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const appId = pick(['shop', 'shop', 'lab', 'lab', 'robots', 'nobody'])
  const headers: Record<string, string> = { 'x-app-id': appId, 'x-real-ip': pick(ADDRESSES) }
  if (random() < 0.8) headers['x-country'] = pick(COUNTRIES)
  if (random() < 0.5) headers['origin'] = pick(ORIGINS)
  if (random() < 0.35) headers['x-origin'] = pick(ORIGINS)
  const url = new URL(`http://127.0.0.1:${port}/me`)
  if (random() < 0.6) url.searchParams.set('return_url', pick(URLS))
  const method = random() < 0.1 && headers['origin'] !== undefined ? 'OPTIONS' : pick(['GET', 'GET', 'PUT'])
  if (method === 'OPTIONS') headers['access-control-request-method'] = 'PUT'
  const isSigned = appId !== 'shop' && method !== 'OPTIONS' && random() < 0.5
  const all = isSigned
    ? await signRequest(
        { method, url, headers },
        { keyId: random() < 0.8 ? 'key-1' : 'key-2', secret: secretOf(appId) },
      )
    : headers
  await send(url, method, all, agent)
  // Replays the request, whose nonce was used.
  if (isSigned && random() < 0.2) await send(url, method, all, agent)
}

function send(url: URL, method: string, headers: Record<string, string>, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (res) =>
      res.resume().once('end', resolve).once('error', reject),
    )
    sent.once('error', reject)
    sent.end()
  })
}
