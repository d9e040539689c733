/**
 * The requests as bytes, and the app by whose policy they are judged. All kinds go to one path with the same query and
 * nearly the same headers, so that parsing them costs the same everywhere.
 */
import { createHmac } from 'node:crypto'
import type { InitialApp, PolicyInput } from 'portcullis'
import { createSigner } from '../../src/client/sign.ts'

export const APP_ID = 'shop'
export const PATH = '/data'
/** What the handler answers. */
export const ANSWER = { id: 7, name: 'Ann', plan: 'pro', ok: true }

const HOST = 'bench.example'
export const ORIGINS: readonly string[] = Array.from(
  { length: 5 },
  (_, index) => `https://app${index}.customer-${index}.example.com`,
)
const [, ORIGIN = ''] = ORIGINS
export const RETURN_URLS: readonly string[] = ORIGINS.map((origin) => `${origin}/oauth/callback/`)
const RETURN_URL = `${ORIGIN}/oauth/callback/ok?state=1`
const FOREIGN = 'https://attacker.example'

/** Ten ranges, one of which holds the peer of this benchmark. */
export const RANGES: readonly string[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '127.0.0.0/8',
  '100.64.0.0/10',
  '192.0.2.0/24',
  '198.18.0.0/15',
  '169.254.0.0/16',
]
export const FOREIGN_RANGES: readonly string[] = RANGES.filter((range) => !range.startsWith('127.'))

/** Of servers and load alike, which are processes of their own; it protects nothing. */
export const KEY = {
  id: 'key-1',
  algorithm: 'hmac-sha256',
  secret: Buffer.alloc(32, 'bench').toString('base64'),
} as const

/** The app, as a store begins with it. */
export function storedApp(ranges: readonly string[] = RANGES): InitialApp {
  const policy: PolicyInput = {
    appId: APP_ID,
    auditAccess: { mode: 'enforce' },
    regionPin: { mode: 'enforce' },
    ipWhitelist: { mode: 'enforce', ranges },
    domainProtect: { mode: 'enforce', domains: ORIGINS },
    serverOnly: { mode: 'enforce' },
    returnUrlGuard: { mode: 'enforce', urls: RETURN_URLS },
  }
  return { policy, keys: [KEY] }
}

type Headers = Readonly<Record<string, string>>

interface Request {
  readonly headers?: Headers
  readonly appId?: string
  readonly origin?: string
  readonly returnUrl?: string
}

const sign = createSigner({ keyId: KEY.id, secret: KEY.secret })

function target({ returnUrl = RETURN_URL }: Request): string {
  return `${PATH}?id=7&return_url=${encodeURIComponent(returnUrl)}`
}

function bytes(path: string, headers: Headers): Buffer {
  const lines = Object.entries({ host: HOST, 'user-agent': 'bench', accept: 'application/json', ...headers })
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
}

/** As a page of the app sends it. */
function ofPage(request: Request = {}): Buffer {
  const { appId = APP_ID, origin = ORIGIN, headers = {} } = request
  return bytes(target(request), { ...headers, 'x-app-id': appId, origin })
}

/** As a server sends it that does not sign. */
function ofServer(request: Request = {}): Buffer {
  const { appId = APP_ID, origin = ORIGIN, headers = {} } = request
  return bytes(target(request), { ...headers, 'x-app-id': appId, 'x-origin': origin })
}

/** As the app's server sends it: signed by RFC 9421 with a fresh nonce. */
async function signed(request: Request = {}): Promise<Buffer> {
  const { appId = APP_ID, origin = ORIGIN, headers = {} } = request
  const path = target(request)
  const covered = { 'x-app-id': appId, 'x-origin': origin }
  const url = `http://${HOST}${path}`
  return bytes(path, { ...headers, ...(await sign({ method: 'GET', url, headers: covered })) })
}

/** Signed as such checks are written by hand: a MAC over time, method and target. */
function signedByHand(): Buffer {
  const path = target({})
  const time = String(Math.floor(Date.now() / 1000))
  return bytes(path, {
    'x-app-id': APP_ID,
    origin: ORIGIN,
    'x-timestamp': time,
    'x-signature': createHmac('sha256', KEY.secret).update(`${time}\nGET\n${path}`).digest('hex'),
  })
}

const KINDS = {
  page: ofPage,
  unsigned: ofServer,
  signed,
  signedByHand,
  unknownApp: () => signed({ appId: 'nobody' }),
  foreignOrigin: () => signed({ origin: FOREIGN }),
  foreignReturnUrl: () => signed({ returnUrl: `${FOREIGN}/oauth/callback/` }),
} as const satisfies Record<string, (request?: Request) => Buffer | Promise<Buffer>>

export type Kind = keyof typeof KINDS

/** @param headers More of them; the kinds that are to be refused leave them out. */
export async function requests(kind: Kind, count: number, headers: Headers = {}): Promise<readonly Buffer[]> {
  const make: (request: Request) => Buffer | Promise<Buffer> = KINDS[kind]
  const made: Buffer[] = []
  for (let index = 0; index < count; index += 1) made.push(await make({ headers }))
  return made
}
