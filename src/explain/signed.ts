import { createHash, createHmac } from 'node:crypto'
import type { RequestDescription } from '../http/described-request.ts'
import { signatureBase } from '../signature/base.ts'
import type { AppKey } from '../signature/keys.ts'

/** Signs only invented requests inside this process. No store contains this key. */
const KEY: AppKey = {
  id: 'made-up-key',
  algorithm: 'hmac-sha256',
  secret: Buffer.alloc(32, 'made-up').toString('base64'),
}
const NONCE = 'made-up-nonce-of-a-made-up-request'

/**
 * Returns the described request with the signature it asks for, made with a key that is added to the app. Without
 * `signature`, returns the request unchanged.
 */
export function signed(request: RequestDescription): RequestDescription {
  const { signature, now = Date.now() } = request
  if (signature === undefined) return request
  const { method = 'GET', url, body } = request
  const headers = lowered(request.headers)
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const hasContent = bytes !== undefined && bytes.length > 0
  const { age = 0, digest = hasContent, contentType = headers.has('content-type') } = signature
  if (digest) headers.set('content-digest', `sha-256=:${digestOf(bytes ?? new Uint8Array())}:`)
  const components = [
    '@method',
    '@authority',
    '@path',
    '@query',
    ...(digest ? ['content-digest'] : []),
    ...(contentType ? ['content-type'] : []),
    ...(headers.has('x-origin') ? ['x-origin'] : []),
  ]
  const { protocol, host, pathname, search } = new URL(url)
  const message = {
    method,
    authority: headers.get('host') ?? host,
    target: pathname + search,
    scheme: protocol === 'https:' ? ('https' as const) : ('http' as const),
    header: (name: string) => [headers.get(name) ?? []].flat(),
  }
  const base = signatureBase(message, components, [
    // Rounded up, so that the signature is never older than described.
    ['created', Math.ceil(now / 1000) - age],
    ['keyid', KEY.id],
    ['nonce', NONCE],
  ])
  // A request that cannot be signed is sent without a signature, and refused for that reason.
  if ('problem' in base) return { ...request, now }
  headers.set('signature-input', `sig1=${base.input}`)
  headers.set('signature', `sig1=:${hmac(base.text)}:`)
  const keys = [...(request.keys ?? []), KEY]
  return { ...request, now, headers: Object.fromEntries(headers), keys }
}

function lowered(headers: RequestDescription['headers'] = {}): Map<string, string> {
  return new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

function hmac(text: string): string {
  return createHmac('sha256', Buffer.from(KEY.secret, 'base64')).update(text).digest('base64')
}
