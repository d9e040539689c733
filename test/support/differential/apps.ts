import { createHmac, createSecretKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import type { AppKey, GuardName } from 'portcullis'
import type { Chance } from './chance.ts'

/** A key of an app, with what callers need to sign. */
export interface SigningKey {
  readonly key: AppKey
  readonly signs: (text: string) => string
}

/** A stored app, and what its callers know. */
export interface GeneratedApp {
  readonly policy: { readonly appId: string } & Readonly<Record<string, unknown>>
  readonly keys: readonly SigningKey[]
}

/** The fixed clock of a run in milliseconds, so that a seed always gives the same requests and answers. */
export const CLOCK = Date.UTC(2026, 0, 15, 12)

export const ORIGINS = [
  'https://app.example',
  'https://one.shop.example',
  'http://localhost:3000',
  'https://other.example',
]
export const RETURN_URLS = [
  'https://app.example/callback/x',
  'https://app.example/done',
  'com.example.app:/cb/done',
  'http://127.0.0.1:8123/cb',
]

type Section = Readonly<Record<string, unknown>>

/** The members of a section other than its mode. */
const SECTIONS: Readonly<Record<GuardName, (chance: Chance) => Section>> = {
  auditAccess: (chance) => ({ onSinkFailure: chance.pick(['deny', 'allow']) }),
  regionPin: (chance) => ({
    onMisdirected: chance.pick(['reject', 'redirect', 'handOver']),
    ...(chance.is(0.5) && { fallback: chance.pick(['europe', 'world', 'atlantis']) }),
  }),
  ipWhitelist: (chance) => ({
    ranges: ['127.0.0.0/8', '::1', '203.0.113.0/24', '2001:db8::/32'].filter(() => chance.is(0.9)),
    deny: ['127.0.0.3', '203.0.113.66'].filter(() => chance.is(0.3)),
    ...(chance.is(0.1) && { lists: ['missing'] }),
    ...(chance.is(0.03) && { denyLists: ['missing'] }),
  }),
  domainProtect: (chance) => ({
    domains: ['https://app.example', 'https://*.shop.example', 'http://localhost:3000', 'null'].filter(
      (text) => chance.is(text === 'null' ? 0.15 : 0.85),
    ),
    ...(chance.is(0.3) && { methods: chance.pick([['GET', 'POST'], ['GET'], ['PUT', 'POST']]) }),
    ...(chance.is(0.3) && { headers: ['content-type', 'x-app-id'] }),
    ...(chance.is(0.3) && { exposedHeaders: chance.pick([['x-total'], ['x-request-id', 'x-total']]) }),
    ...(chance.is(0.3) && { maxAge: 600 }),
    ...(chance.is(0.8) && { server: chance.pick(['signed', 'claim', 'none']) }),
  }),
  serverOnly: (chance) => ({
    ...(chance.is(0.3) && { maxAge: 60 }),
    ...(chance.is(0.3) && { requireDigest: false }),
    ...(chance.is(0.3) && { requireContentType: false }),
  }),
  returnUrlGuard: (chance) => ({
    urls: [
      'https://app.example/callback/',
      { exact: 'https://app.example/done' },
      'com.example.app:/cb/',
      'http://127.0.0.1/cb',
      'https://gateway.example/settings',
    ].filter(() => chance.is(0.85)),
  }),
}

/** The shares in which a section enforces, reports and is off. In the rest, it is missing. */
type Shares = readonly [enforce: number, report: number, off: number]

const USUAL: Shares = [0.6, 0.18, 0.2]
/** Pages cannot sign, so a `serverOnly` that always enforces would leave few requests for later guards. */
const RARELY: Shares = [0.25, 0.25, 0.48]

/** Apps with policies of all kinds. They share a few keys, because creating one costs more than a hundred requests. */
export function generateApps(chance: Chance, count: number): GeneratedApp[] {
  return Array.from({ length: count }, (_none, index) => {
    const appId = `app-${index}`
    const sections: Record<string, Section> = {}
    for (const [name, more] of Object.entries(SECTIONS)) {
      const [enforce, report, off] = name === 'serverOnly' && chance.is(0.6) ? RARELY : USUAL
      const at = chance.is(0.5) ? chance.below(1000) / 1000 : 0
      if (at >= enforce + report + off) continue
      const mode = at < enforce ? 'enforce' : at < enforce + report ? 'report' : 'off'
      sections[name] = { mode, ...more(chance) }
    }
    const domain = sections['domainProtect']
    if (domain !== undefined && chance.is(0.4) && !(domain['domains'] as string[]).includes('null'))
      sections['domainProtect'] = { ...domain, credentials: true }
    return { policy: { appId, ...sections }, keys: [hmacKey(chance, index), edwardsKey(chance, index)] }
  })
}

/** Some keys expire soon, and some have expired. */
function lifeOf(chance: Chance): { notAfter?: string } {
  if (chance.is(0.75)) return {}
  const moment = chance.is(0.8) ? CLOCK + 3 * 86_400_000 : CLOCK - 1_000
  return { notAfter: new Date(moment).toISOString() }
}

function hmacKey(chance: Chance, index: number): SigningKey {
  const bytes = chance.bytes(32)
  const secret: KeyObject = createSecretKey(bytes)
  return {
    key: {
      id: `hmac-${index}`,
      algorithm: 'hmac-sha256',
      secret: bytes.toString('base64'),
      ...lifeOf(chance),
    },
    signs: (text) => createHmac('sha256', secret).update(text).digest('base64'),
  }
}

const PAIR = generateKeyPairSync('ed25519')
const PUBLIC = PAIR.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')

function edwardsKey(chance: Chance, index: number): SigningKey {
  return {
    key: { id: `edwards-${index}`, algorithm: 'ed25519', secret: PUBLIC, ...lifeOf(chance) },
    signs: (text) => sign(null, Buffer.from(text), PAIR.privateKey).toString('base64'),
  }
}
