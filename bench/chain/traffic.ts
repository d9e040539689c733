/**
 * The requests as bytes, and the app whose policy judges them. All kinds of requests have the same path and query and
 * nearly the same headers, so that parsing them costs the same for all variants.
 */
import { createHmac } from 'node:crypto'
import type { InitialApp, PolicyInput } from 'portcullis'
import { createSigner } from '../../src/client/sign.ts'

export const APP_ID = 'shop'
export const PATH = '/data'
/** The answer of the handler. */
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

/** Ten ranges, one of which contains the address of this benchmark. */
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

/** The key that servers and client share. It is fixed, because they are separate processes, and it protects nothing. */
export const KEY = {
  id: 'key-1',
  algorithm: 'hmac-sha256',
  secret: Buffer.alloc(32, 'bench').toString('base64'),
} as const

/** The app with which a store starts. */
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

function bytes(path: string, headers: Headers, body?: string): Buffer {
  const lines = Object.entries({ host: HOST, 'user-agent': 'bench', accept: 'application/json', ...headers })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\n${head}\r\n${body ?? ''}`)
}

/** A request as sent by a page of the app. */
function ofPage(request: Request = {}): Buffer {
  const { appId = APP_ID, origin = ORIGIN, headers = {} } = request
  return bytes(target(request), { ...headers, 'x-app-id': appId, origin })
}

/** A request as sent by a server that does not sign. */
function ofServer(request: Request = {}): Buffer {
  const { appId = APP_ID, origin = ORIGIN, headers = {} } = request
  return bytes(target(request), { ...headers, 'x-app-id': appId, 'x-origin': origin })
}

/** A request as sent by the app's server: signed by RFC 9421 with a new nonce. */
async function signed(request: Request = {}): Promise<Buffer> {
  const { appId = APP_ID, origin = ORIGIN, headers = {} } = request
  const path = target(request)
  const covered = { 'x-app-id': appId, 'x-origin': origin }
  const url = `http://${HOST}${path}`
  return bytes(path, { ...headers, ...(await sign({ method: 'GET', url, headers: covered })) })
}

const BODY = JSON.stringify({ email: 'ann@example.com', name: 'Ann', plan: 'pro', tags: ['a', 'b'] })

/** The same with a body of JSON, which the signature covers. */
async function signedPost({ headers = {} }: Request = {}): Promise<Buffer> {
  const path = target({})
  const covered = { 'x-app-id': APP_ID, 'x-origin': ORIGIN, 'content-type': 'application/json' }
  const url = `http://${HOST}${path}`
  const signature = await sign({ method: 'POST', url, headers: covered, body: BODY })
  return bytes(path, { ...headers, ...signature, 'content-length': String(BODY.length) }, BODY)
}

/** A request signed for a typical hand-made check: a MAC over time, method and target. */
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
  signedPost,
  signedByHand,
  unknownApp: () => signed({ appId: 'nobody' }),
  foreignOrigin: () => signed({ origin: FOREIGN }),
  foreignReturnUrl: () => signed({ returnUrl: `${FOREIGN}/oauth/callback/` }),
} as const satisfies Record<string, (request?: Request) => Buffer | Promise<Buffer>>

export type Kind = keyof typeof KINDS

/** @param headers Additional headers; ignored for the kinds that must be refused. */
export async function requests(kind: Kind, count: number, headers: Headers = {}): Promise<readonly Buffer[]> {
  const make: (request: Request) => Buffer | Promise<Buffer> = KINDS[kind]
  const made: Buffer[] = []
  for (let index = 0; index < count; index += 1) made.push(await make({ headers }))
  return made
}
