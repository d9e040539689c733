import { readUrl } from '../match/host.ts'
import { NONCE, signatureBase, type MessageParts, type SignatureParameters } from '../signature/base.ts'
import { base64, bytesFromBase64 } from './base64.ts'
import { checkSigningOptions, type SigningOptions } from './options.ts'

/** A record, a `Headers` or any list of pairs. */
export type HeadersLike = Readonly<Record<string, string>> | Iterable<readonly [string, string]>

/** The request exactly as it will be sent. */
export interface RequestToSign {
  /** In upper case, as it goes on the wire. */
  readonly method: string
  /** Absolute, `http:` or `https:`. A fragment is not sent and so not signed. */
  readonly url: string | URL
  readonly headers?: HeadersLike | undefined
  /** The very bytes that are sent; a text is sent as UTF-8. Not for GET and HEAD. */
  readonly body?: string | Uint8Array | ArrayBuffer | undefined
}

/**
 * Signs a request by RFC 9421 with HMAC-SHA256, and answers with all its headers, in lower case: those given, and
 * `content-digest` (RFC 9530), `signature-input` and `signature`.
 *
 * Covered are method, authority, path, query, the content digest, and, of the given headers, `authorization`,
 * `content-type`, `x-app-id`, `x-origin` and those that `covered` names. Each call makes a signature that can be used
 * once, so sign again for a retry. A `host` header that is given is signed instead of the host of the URL.
 * When the body cannot be given, give its `content-digest` among the headers.
 *
 * Rejects with a `ConfigError` for wrong options, and with a `TypeError` for a request that could not be verified.
 */
export async function signRequest(
  request: RequestToSign,
  options: SigningOptions,
): Promise<Record<string, string>> {
  checkSigningOptions('signRequest', options)
  return createSigner(options)(request)
}

export type Signer = (request: RequestToSign) => Promise<Record<string, string>>

/** Signs any number of requests with options that have been checked; the key is imported once. */
export function createSigner(options: SigningOptions): Signer {
  const {
    keyId,
    secret,
    now = Date.now,
    nonce = randomNonce,
    label = 'sig1',
    covered = [],
    expiresIn,
  } = options
  let key: ReturnType<typeof importKey> | undefined

  return async ({ method: givenMethod, url: givenUrl, headers: givenHeaders, body }) => {
    const method = parseMethod(givenMethod)
    const url = parseUrl(givenUrl)
    const headers = new Headers(givenHeaders as Record<string, string>)
    const bytes = contentOf(body)
    if (bytes !== undefined && bytes.length > 0) {
      if (method === 'GET' || method === 'HEAD')
        throw new TypeError(`a ${method} request must not have a body`)
      headers.set('content-digest', `sha-256=:${base64(await sha256(bytes))}:`)
    } else if (bytes !== undefined) {
      headers.delete('content-digest')
    }

    const created = Math.floor(now() / 1000)
    const parameters: SignatureParameters = [
      ['created', created],
      ...(expiresIn === undefined ? [] : [['expires', created + expiresIn] as const]),
      ['keyid', keyId],
      ['nonce', parseNonce(nonce())],
    ]
    const base = signatureBase(partsOf(method, url, headers), componentsOf(headers, covered), parameters)
    if ('problem' in base) throw new TypeError(`the request cannot be signed: ${base.problem}`)
    key ??= importKey(secret)
    const signature = await subtle().sign('HMAC', await key, new TextEncoder().encode(base.text))
    // In place of those of an earlier attempt, if the caller kept its headers.
    headers.set('signature-input', `${label}=${base.input}`)
    headers.set('signature', `${label}=:${base64(new Uint8Array(signature))}:`)
    return Object.fromEntries(headers)
  }
}

// Covered where the request has them: what decides how a request is understood, and for whom it is done.
const COVERED_WHEN_SENT = ['content-digest', 'content-type', 'authorization', 'x-app-id', 'x-origin']

function componentsOf(headers: Headers, covered: readonly string[]): readonly string[] {
  const sent = COVERED_WHEN_SENT.filter((name) => headers.has(name))
  const named = covered.map((name) => name.toLowerCase())
  return [...new Set(['@method', '@authority', '@path', '@query', ...sent, ...named])]
}

function partsOf(method: string, url: URL, headers: Headers): MessageParts {
  return {
    method,
    authority: headers.get('host') ?? url.host,
    target: url.pathname + url.search,
    scheme: url.protocol === 'https:' ? 'https' : 'http',
    header(name) {
      const value = headers.get(name)
      return value === null ? [] : [value]
    },
  }
}

// `fetch` writes these in upper case and leaves all others as they are.
const UPPERCASED = /^(?:delete|get|head|options|post|put)$/i

function parseMethod(given: string): string {
  const method = UPPERCASED.test(given) ? given.toUpperCase() : given
  if (/^[A-Z][A-Z-]*$/.test(method)) return method
  throw new TypeError('`method` must be an HTTP method in upper case, like `PATCH`')
}

function parseUrl(given: string | URL): URL {
  const url = readUrl(String(given))
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('`url` must be an absolute http or https URL')
  }
  if (url.username !== '' || url.password !== '')
    throw new TypeError('`url` must not hold a user name or password')
  return url
}

function parseNonce(nonce: unknown): string {
  if (typeof nonce === 'string' && NONCE.test(nonce)) return nonce
  throw new TypeError('`nonce` must return 16 to 128 characters of A-Z a-z 0-9 + / = . _ ~ : -')
}

function contentOf(body: RequestToSign['body']): Uint8Array<ArrayBuffer> | undefined {
  if (body === undefined) return undefined
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
  }
  if (Object.prototype.toString.call(body) === '[object ArrayBuffer]') return new Uint8Array(body).slice()
  throw new TypeError('`body` must be a string or bytes: serialise it first, for example with JSON.stringify')
}

function randomNonce(): string {
  return base64(crypto.getRandomValues(new Uint8Array(16)))
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await subtle().digest('SHA-256', bytes))
}

function importKey(secret: string): ReturnType<typeof crypto.subtle.importKey> {
  const bytes = bytesFromBase64(secret) as Uint8Array<ArrayBuffer>
  return subtle().importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
}

function subtle(): typeof crypto.subtle {
  // Browsers hide it from pages that were not loaded over HTTPS.
  if (globalThis.crypto?.subtle === undefined) throw new TypeError('signing needs a runtime with WebCrypto')
  return crypto.subtle
}
