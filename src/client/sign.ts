import { NONCE, signatureBase, type MessageParts, type SignatureParameters } from '../signature/base.ts'
import { MOST_CHARACTERS, MOST_COMPONENTS } from '../signature/budget.ts'
import { base64 } from './base64.ts'
import { signWith, subtle } from './key.ts'
import { checkSigningOptions, type SigningOptions } from './options.ts'
import { parseContent, parseHeaders, parseMethod, parseUrl, type RequestToSign } from './request.ts'

/**
 * Signs a request (RFC 9421) with HMAC-SHA-256 or Ed25519. Resolves with all of its headers, with names in lower case: the
 * given ones, `content-digest` (RFC 9530), `signature-input` and `signature`.
 *
 * The signature covers the method, authority, path, query and content digest, and, if given, the headers `authorization`,
 * `content-type`, `x-app-id`, `x-origin`, those that override the method (`x-http-method-override`) and those in `covered`. Each
 * signature can be used only once, so sign again for a retry. If a `host` header is given, it is signed instead of the host of the
 * URL. If the body is not available, give its `content-digest` as a header.
 *
 * Rejects with a `ConfigError` for invalid options, and with a `TypeError` if no verifier could accept the signature.
 */
export async function signRequest(
  request: RequestToSign,
  options: SigningOptions,
): Promise<Record<string, string>> {
  checkSigningOptions('signRequest', options)
  return createSigner(options)(request)
}

/** A request whose target is sent in its own spelling, and not as the URL parser prints it. */
export interface MessageToSign extends RequestToSign {
  readonly target?: string | undefined
}

export type Signer = (request: MessageToSign) => Promise<Record<string, string>>

/** Signs any number of requests with checked options. The key is imported once. */
export function createSigner(options: SigningOptions): Signer {
  const { keyId, now = Date.now, nonce = randomNonce, label = 'sig1', covered = [], expiresIn } = options
  const sign = signWith(options)

  return async ({ method: givenMethod, url: givenUrl, headers: givenHeaders, body, target }) => {
    const method = parseMethod(givenMethod)
    const url = parseUrl(givenUrl)
    const headers = parseHeaders(givenHeaders)
    const bytes = parseContent(method, body, headers)
    if (bytes !== undefined && bytes.length > 0) {
      headers.set('content-digest', `sha-256=:${base64(await sha256(bytes))}:`)
    } else if (bytes !== undefined) {
      headers.delete('content-digest')
    }

    const created = parseSecond(Math.floor(now() / 1000))
    const parameters: SignatureParameters = [
      ['created', created],
      ...(expiresIn === undefined ? [] : [['expires', parseSecond(created + expiresIn)] as const]),
      ['keyid', keyId],
      ['nonce', parseNonce(nonce())],
    ]
    const components = componentsOf(headers, covered)
    if (components.length > MOST_COMPONENTS) {
      throw new TypeError(`the request cannot be signed: it covers more than ${MOST_COMPONENTS} components`)
    }
    const base = signatureBase(partsOf(method, url, headers, target), components, parameters)
    if ('problem' in base) throw new TypeError(`the request cannot be signed: ${base.problem}`)
    const signature = base64(await sign(new TextEncoder().encode(base.text)))
    // Replaces the headers of an earlier attempt, if the caller kept them.
    headers.set('signature-input', `${label}=${base.input}`)
    headers.set('signature', `${label}=:${signature}:`)
    checkLength(headers)
    return Object.fromEntries(headers)
  }
}

// Covered if the request has them, because they decide how the request is understood and on whose behalf it is made.
const COVERED_WHEN_SENT = [
  'content-digest',
  'content-type',
  'authorization',
  'x-app-id',
  'x-origin',
  // The names that `method-override` documents.
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
]

function componentsOf(headers: Headers, covered: readonly string[]): readonly string[] {
  const sent = COVERED_WHEN_SENT.filter((name) => headers.has(name))
  const named = covered.map((name) => name.toLowerCase())
  return [...new Set(['@method', '@authority', '@path', '@query', ...sent, ...named])]
}

function partsOf(method: string, url: URL, headers: Headers, target?: string): MessageParts {
  return {
    method,
    authority: headers.get('host') ?? url.host,
    target: target ?? url.pathname + url.search,
    scheme: url.protocol === 'https:' ? 'https' : 'http',
    header(name) {
      const value = headers.get(name)
      return value === null ? [] : [value]
    },
  }
}

function checkLength(headers: Headers): void {
  const length = (headers.get('signature-input')?.length ?? 0) + (headers.get('signature')?.length ?? 0)
  if (length > MOST_CHARACTERS) {
    throw new TypeError(
      `the request cannot be signed: the signature takes more than ${MOST_CHARACTERS} characters`,
    )
  }
}

// The range that the verifier accepts: the years 1970 to 9999.
function parseSecond(second: number): number {
  if (second >= 0 && second <= 253_402_300_799) return second
  throw new TypeError('`now` must return milliseconds since the epoch')
}

function parseNonce(nonce: unknown): string {
  if (typeof nonce === 'string' && NONCE.test(nonce)) return nonce
  throw new TypeError('`nonce` must return 16 to 128 characters of A-Z a-z 0-9 + / = . _ ~ : -')
}

function randomNonce(): string {
  return base64(crypto.getRandomValues(new Uint8Array(16)))
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await subtle().digest('SHA-256', bytes))
}
