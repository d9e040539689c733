import { createHash } from 'node:crypto'
import { signatureBase } from '../../../src/signature/base.ts'
import { CLOCK, ORIGINS, RETURN_URLS, type GeneratedApp, type SigningKey } from './apps.ts'
import type { Chance } from './chance.ts'

/** The places in which a setup expects values from callers. */
export interface Places {
  readonly appId: 'header' | 'query' | 'body'
  readonly returnUrl: 'query' | 'body'
  readonly country: 'header' | 'body'
  /** The common prefix of all paths. */
  readonly mountPath: string
}

/** A request as sent over the wire. */
export interface GeneratedRequest {
  /** Its `X-Request-Id`, which identifies everything known about it. */
  readonly id: string
  readonly method: string
  readonly bytes: Buffer
  /** The app with that id, if it exists. */
  readonly app: GeneratedApp | undefined
  /** Whether its app does not exist. */
  readonly stranger: boolean
}

interface Draft {
  /** Whether it is intended to pass. Without such requests, later guards would be reached too rarely. */
  readonly sound: boolean
  /** Whether the app requires a signature, so that the caller is not a browser. */
  readonly server: boolean
  method: string
  path: string
  readonly query: string[]
  readonly headers: [name: string, value: string][]
  readonly members: [name: string, value: unknown][]
  body: Buffer | undefined
  chunked: boolean
}

/** The faults that a caller can trigger in the options of a setup. */
export const FAULTS = ['country', 'returnUrl', 'appId', 'address'] as const

const PATHS = [
  '/echo',
  '/echo',
  '/echo',
  '/later',
  '/people/7',
  '/people/ada%40example.org?full=1',
  '/stream',
  '/redirect',
  '/read',
  '/throw',
  '/reject',
  '/nowhere',
  '/echo/%zz',
  '//echo',
]
const METHODS = ['GET', 'GET', 'GET', 'POST', 'POST', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH']
const BAD_ORIGINS = [
  'null',
  'https://evil.example',
  'https://APP.example',
  'app.example',
  'https://app.example/',
  '',
]
const BAD_URLS = [
  'https://evil.example/',
  'https://app.example/callback/../x',
  'https://app.example/callback/%2e%2e/x',
  'https://app.example\\@evil.example/',
  '//evil.example',
  '/settings',
  'javascript:alert(1)',
  'https://app.example/callback/x?code=1',
  '',
  ' https://app.example/done',
]
const COUNTRIES = ['DE', 'DE', 'DE', 'FR', 'US', 'JP', 'XX', 'de', '', 'DE,US']
const FORWARDED = [
  '203.0.113.7',
  '203.0.113.66',
  '2001:db8::7',
  'unknown',
  '10.1.2.3, 203.0.113.7',
  '300.1.1.1',
  '::ffff:203.0.113.9',
]

/** Creates the requests of a connection, in order. A later one may repeat an earlier one. */
export class RequestMaker {
  readonly #chance: Chance
  readonly #apps: readonly GeneratedApp[]
  readonly #places: Places
  readonly #name: string
  #count = 0
  /** Signed requests of this connection, for replays. */
  readonly #signed: { readonly request: GeneratedRequest }[] = []

  constructor(chance: Chance, apps: readonly GeneratedApp[], places: Places, name: string) {
    this.#chance = chance
    this.#apps = apps
    this.#places = places
    this.#name = name
  }

  next(): GeneratedRequest {
    const chance = this.#chance
    const id = `${this.#name}-${this.#count++}`
    const [known] = this.#signed.length > 0 && chance.is(0.06) ? [chance.pick(this.#signed)] : []
    if (known !== undefined) return replayed(known.request, id)
    const app = chance.pick(this.#apps)
    const draft = draftOf(chance, this.#places, app)
    const named = this.#nameApp(draft, app)
    addOrigin(chance, draft)
    addAddress(chance, draft)
    addCountry(chance, draft, this.#places)
    addReturnUrl(chance, draft, this.#places)
    addContent(chance, draft)
    const isSigned = this.#sign(draft, app)
    if (chance.is(0.02)) draft.headers.push(['X-Test-Fault', chance.pick(FAULTS)])
    const request: GeneratedRequest = {
      id,
      method: draft.method,
      bytes: bytesOf(draft, id),
      app: named === app.policy.appId ? app : undefined,
      stranger: named !== undefined && named !== app.policy.appId,
    }
    if (isSigned) {
      this.#signed.push({ request })
      if (this.#signed.length > 20) this.#signed.shift()
    }
    return request
  }

  #nameApp(draft: Draft, app: GeneratedApp): string | undefined {
    const chance = this.#chance
    const name = chance.is(0.93)
      ? app.policy.appId
      : chance.pick(['no-such-app', 'no-such-app', undefined, 'not an id', 'app-0, app-1', 'broken'])
    if (name === undefined) return undefined
    const { appId } = this.#places
    if (appId === 'header') draft.headers.push(['X-App-Id', name])
    else if (appId === 'query') draft.query.push(`app=${encodeURIComponent(name)}`)
    else draft.members.push(['client_id', name])
    if (!chance.is(0.01)) return name
    // Two header lines are joined to one id. A second place must have the same id as the first.
    draft.headers.push(['X-App-Id', name])
    return appId === 'header' ? `${name}, ${name}` : name
  }

  /** Signs a request. Returns whether it can be replayed. */
  #sign(draft: Draft, app: GeneratedApp): boolean {
    const chance = this.#chance
    if (!chance.is(draft.server ? 0.9 : 0.05)) return false
    const key = chance.is(0.9) ? (app.keys[0] as SigningKey) : chance.pick(app.keys)
    addSignature(chance, draft, key)
    return true
  }
}

function draftOf(chance: Chance, { mountPath }: Places, { policy }: GeneratedApp): Draft {
  const [path = '', query] = chance.pick(PATHS).split('?')
  const sound = chance.is(0.5)
  const method = chance.pick(METHODS)
  const { mode } = (policy['serverOnly'] ?? {}) as { mode?: string }
  const draft: Draft = {
    sound,
    server: mode === 'enforce' || (mode === 'report' && chance.is(0.5)),
    method: sound && method === 'OPTIONS' ? 'POST' : method,
    path: mountPath + path,
    query: query === undefined ? [] : [query],
    headers: [['Host', chance.is(0.98) ? 'gateway.example' : 'other.example']],
    members: [],
    body: undefined,
    chunked: false,
  }
  if (sound) return draft
  if (chance.is(0.03))
    draft.headers.push(['X-HTTP-Method-Override', chance.pick(['DELETE', 'put', 'GET', ''])])
  if (chance.is(0.02)) draft.query.push('portcullis-hop=1')
  return draft
}

function addOrigin(chance: Chance, draft: Draft): void {
  const { headers, sound, server } = draft
  if (sound) {
    headers.push([server || chance.is(0.4) ? 'X-Origin' : 'Origin', chance.pick(ORIGINS.slice(0, 3))])
    return
  }
  const origin = chance.is(0.75)
    ? chance.pick(ORIGINS.slice(0, 3))
    : chance.pick([...ORIGINS, ...BAD_ORIGINS])
  const kind = chance.below(10)
  if (draft.method === 'OPTIONS' && chance.is(0.75)) {
    headers.push(
      ['Origin', origin],
      ['Access-Control-Request-Method', chance.pick(['GET', 'PUT', 'bad method'])],
    )
    if (chance.is(0.5))
      headers.push(['Access-Control-Request-Headers', chance.pick(['content-type', 'x-app-id,x-a', '(,)'])])
  } else if (kind < 3) {
    headers.push(['Origin', origin])
    if (chance.is(0.7))
      headers.push(['Sec-Fetch-Site', chance.pick(['cross-site', 'same-site', 'same-origin', 'none', 'x'])])
    if (chance.is(0.3)) headers.push(['Sec-Fetch-Mode', chance.pick(['cors', 'navigate', 'no-cors'])])
  } else if (kind < 7) {
    headers.push(['X-Origin', origin])
    if (chance.is(0.05)) headers.push(['Origin', chance.pick(ORIGINS)])
  } else if (kind === 7) {
    headers.push(['Sec-Fetch-Site', chance.pick(['same-origin', 'none', 'cross-site'])])
    headers.push(['Sec-Fetch-Mode', chance.pick(['navigate', 'cors'])])
    if (chance.is(0.3)) headers.push(['Origin', 'http://gateway.example'])
  }
}

function addAddress(chance: Chance, { headers, sound }: Draft): void {
  if (sound) headers.push(['X-Forwarded-For', chance.pick(['203.0.113.7', '2001:db8::7'])])
  if (sound || !chance.is(0.4)) return
  headers.push(['X-Forwarded-For', chance.pick(FORWARDED)])
  if (chance.is(0.1)) headers.push(['X-Forwarded-For', chance.pick(FORWARDED)])
}

function addCountry(chance: Chance, draft: Draft, { country }: Places): void {
  if (!chance.is(0.97)) return
  const value = draft.sound || chance.is(0.6) ? 'DE' : chance.pick(COUNTRIES)
  if (country === 'header') draft.headers.push(['X-Test-Country', value])
  else draft.members.push(['country', value])
}

function addReturnUrl(chance: Chance, draft: Draft, { returnUrl }: Places): void {
  if (!chance.is(0.95)) return
  const url = draft.sound || chance.is(0.7) ? chance.pick(RETURN_URLS) : chance.pick(BAD_URLS)
  const add = (value: string): void => {
    if (returnUrl === 'body') draft.members.push(['return_url', value])
    else
      draft.query.push(
        `return_url=${chance.is(0.9) ? encodeURIComponent(value) : value.replaceAll(/[\s\\]/g, '')}`,
      )
  }
  add(url)
  if (draft.sound) return
  if (chance.is(0.04)) add(chance.pick([...RETURN_URLS, ...BAD_URLS]))
  if (chance.is(0.02)) draft.query.push(`return_url[]=${encodeURIComponent(url)}`)
}

/** Methods without content in these tests, although Node would read it. */
const WITHOUT_CONTENT = new Set(['GET', 'HEAD', 'OPTIONS'])

function addContent(chance: Chance, draft: Draft): void {
  const isWanted = !WITHOUT_CONTENT.has(draft.method) || draft.members.length > 0
  if (isWanted ? !draft.sound && chance.is(0.1) : !chance.is(0.02)) {
    // Sometimes an empty one.
    if (chance.is(0.5)) draft.body = Buffer.alloc(0)
  } else {
    const [type, body] = contentOf(chance, draft.sound, [
      ...draft.members,
      ['name', 'Ada'],
      ['id', draft.members.length],
    ])
    draft.body = body
    if (type !== undefined) draft.headers.push(['Content-Type', type])
  }
  draft.chunked = draft.body !== undefined && chance.is(0.25)
}

function contentOf(
  chance: Chance,
  sound: boolean,
  members: readonly [string, unknown][],
): [type: string | undefined, body: Buffer] {
  const kind = chance.below(sound ? 15 : 20)
  const json = Buffer.from(JSON.stringify(Object.fromEntries(members)))
  if (kind < 9)
    return [
      chance.pick(['application/json', 'application/json; charset=utf-8', 'application/problem+json']),
      json,
    ]
  if (kind < 15) {
    const form = members.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')
    return ['application/x-www-form-urlencoded', Buffer.from(form)]
  }
  if (kind === 15) return ['application/json', json.subarray(0, -2)]
  if (kind === 16) return ['application/json; charset=latin1', json]
  if (kind === 17) return ['application/json', Buffer.alloc(3_000, '[')]
  if (kind === 18) return [undefined, json]
  return ['application/octet-stream', chance.bytes(64)]
}

/** Adds a signature of any kind. Most are valid. */
function addSignature(chance: Chance, draft: Draft, { key, signs }: SigningKey): void {
  const { headers, body } = draft
  if (body !== undefined && body.length > 0 && chance.is(0.97)) {
    const digested = chance.is(0.95) ? body : Buffer.from('other')
    const digest = createHash('sha256').update(digested).digest('base64')
    headers.push(['Content-Digest', `sha-256=:${digest}:`])
  }
  const wanted = ['content-digest', 'content-type', 'x-app-id', 'x-origin']
  const sent = new Set(headers.map(([name]) => name.toLowerCase()))
  const components = ['@method', '@authority', '@path', '@query', ...wanted.filter((name) => sent.has(name))]
  if (chance.is(0.04)) components.splice(chance.below(components.length), 1)
  const age = chance.is(0.92) ? chance.below(50) : chance.pick([59, 60, 61, 300, 301, 5_000, -60, -61, -400])
  const nonce = chance.is(0.98) ? chance.bytes(16).toString('base64url') : 'short'
  const keyId = chance.is(0.97) ? key.id : 'no-such-key'
  const base = signatureBase(
    {
      method: draft.method,
      authority: 'gateway.example',
      target: targetOf(draft),
      scheme: 'http',
      header: (name) => headers.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value),
    },
    components,
    [
      ['created', CLOCK / 1000 - age],
      ['keyid', keyId],
      ['nonce', nonce],
    ],
  )
  if ('problem' in base) return
  const proof = chance.is(0.96) ? signs(base.text) : chance.bytes(32).toString('base64')
  const two = chance.is(0.02)
  headers.push(['Signature-Input', `sig1=${base.input}${two ? `, sig2=${base.input}` : ''}`])
  headers.push(['Signature', `sig1=:${proof}:${two ? `, sig2=:${proof}:` : ''}`])
  tamper(chance, draft)
}

/** Changes a few requests after they are signed. */
function tamper(chance: Chance, draft: Draft): void {
  if (!chance.is(0.03)) return
  const kind = chance.below(4)
  if (kind === 0) draft.query.push('more=1')
  else if (kind === 1) draft.path += '/x'
  else if (kind === 2 && draft.body !== undefined) draft.body = Buffer.concat([draft.body, Buffer.from(' ')])
  else draft.headers.push(['X-Origin', 'https://one.shop.example'])
}

function targetOf({ path, query }: Draft): string {
  return query.length === 0 ? path : `${path}?${query.join('&')}`
}

function bytesOf(draft: Draft, id: string): Buffer {
  const { method, headers, body, chunked } = draft
  const lines = [`${method} ${targetOf(draft)} HTTP/1.1`, `X-Request-Id: ${id}`]
  for (const [name, value] of headers) lines.push(`${name}: ${value}`)
  if (body === undefined) return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  if (!chunked) {
    const head = Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n`)
    return Buffer.concat([head, body])
  }
  const parts: Buffer[] = [Buffer.from(`${lines.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`)]
  for (let at = 0; at < body.length; at += 1_000) {
    const chunk = body.subarray(at, at + 1_000)
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  parts.push(Buffer.from('0\r\n\r\n'))
  return Buffer.concat(parts)
}

/** The same request with another id, which the signature does not cover. */
function replayed(request: GeneratedRequest, id: string): GeneratedRequest {
  const text = request.bytes.toString('latin1').replace(`X-Request-Id: ${request.id}`, `X-Request-Id: ${id}`)
  return { ...request, id, bytes: Buffer.from(text, 'latin1') }
}
