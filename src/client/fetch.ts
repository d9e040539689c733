import { readUrl } from '../match/host.ts'
import { checkSigningOptions, isHeaderName, type Checks, type SigningOptions } from './options.ts'
import { createSigner } from './sign.ts'

export interface SignedFetchOptions extends SigningOptions {
  /** What sends the signed request. Default: the global `fetch`, looked up at each call. */
  fetch?: typeof fetch | undefined
  /** Sent with every request, and covered. */
  appId?: string | undefined
  /** The header for `appId`. Default `x-app-id`. */
  appIdHeader?: string | undefined
  /** Sent as `X-Origin` with every request, and covered: the origin for which this server acts, `https://example.org`. */
  origin?: string | undefined
}

const CHECKS: Checks = {
  fetch: { expected: 'a function', accepts: (value) => typeof value === 'function' },
  appId: {
    expected: '1 to 128 characters of A-Z a-z 0-9 . _ : -',
    accepts: (value) => typeof value === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(value),
  },
  appIdHeader: { expected: 'the name of a header', accepts: isHeaderName },
  origin: {
    expected: 'an origin like `https://example.org`, without a path',
    accepts: (value) => typeof value === 'string' && readUrl(value)?.origin === value,
  },
}

/**
 * A `fetch` that signs every request it sends, by {@link signRequest}, with a fresh nonce and time.
 *
 * - It sends the bytes that it has signed. A body may be a string, bytes, `URLSearchParams` or a `Blob`; the body of a
 *   `Request` is read into memory. Streams and `FormData` are refused with a `TypeError`: the bytes that `fetch` would
 *   make of them cannot be known.
 * - It follows no redirect, since a signature is good for one URL: the 3xx response is the answer. `redirect: 'error'`
 *   is honoured, `redirect: 'follow'` refused.
 *
 * Throws a `ConfigError` for wrong options; a call rejects with a `TypeError` for a request that it cannot sign.
 */
export function signedFetch(
  options: SignedFetchOptions,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  checkSigningOptions('signedFetch', options, CHECKS)
  const { fetch: send, appId, appIdHeader = 'x-app-id', origin, covered = [], ...signing } = options
  const sign = createSigner({
    ...signing,
    covered: appId === undefined ? covered : [...covered, appIdHeader],
  })

  return async (input, init = {}) => {
    const request = isRequest(input) ? input : undefined
    const method = init.method ?? request?.method ?? 'GET'
    const headers = new Headers(init.headers ?? request?.headers)
    if (headers.has('host')) throw new TypeError('fetch does not send a `host` header of its own choosing')
    if (init.redirect === 'follow') {
      throw new TypeError('a signature is good for one URL: follow the redirect with a new request')
    }
    if (appId !== undefined) headers.set(appIdHeader, appId)
    if (origin !== undefined) headers.set('x-origin', origin)

    const body = await bodyOf(init.body, request, headers)
    // `fetch` drops the fragment and writes the rest as the URL parser does; so does signing.
    const url = request?.url ?? (input as string | URL).toString()
    const signed = await sign({ method, url, headers, body })
    return (send ?? globalThis.fetch)(url, {
      ...settingsOf(request),
      ...init,
      method: method.toUpperCase(),
      headers: signed,
      redirect: (init.redirect ?? request?.redirect) === 'error' ? 'error' : 'manual',
      ...(body !== undefined && { body }),
    })
  }
}

/** The bytes to send. Sets the content type where `fetch` would have taken it from the body. */
async function bodyOf(
  body: unknown,
  request: Request | undefined,
  headers: Headers,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === undefined || body === null) {
    const content = request === undefined ? undefined : new Uint8Array(await request.arrayBuffer())
    return content?.length === 0 ? undefined : content
  }
  if (typeof body === 'string') return textOf(body, 'text/plain;charset=UTF-8', headers)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice()
  // By tag and not by class: they may come from another realm or a polyfill.
  switch (Object.prototype.toString.call(body).slice(8, -1)) {
    case 'ArrayBuffer':
      return new Uint8Array(body as ArrayBuffer).slice()
    case 'URLSearchParams':
      return textOf(
        (body as URLSearchParams).toString(),
        'application/x-www-form-urlencoded;charset=UTF-8',
        headers,
      )
    case 'Blob':
    case 'File': {
      const blob = body as Blob
      if (blob.type !== '' && !headers.has('content-type')) headers.set('content-type', blob.type)
      return new Uint8Array(await blob.arrayBuffer())
    }
    case 'FormData':
      throw new TypeError(
        'the bytes of a FormData are not known before it is sent: give a Request made of it, `new Request(url, { method, body })`',
      )
    default:
      throw new TypeError(
        'the bytes of this body are not known before it is sent: read a stream first, `await new Response(stream).arrayBuffer()`, and serialise an object with JSON.stringify',
      )
  }
}

function textOf(text: string, type: string, headers: Headers): Uint8Array<ArrayBuffer> {
  if (!headers.has('content-type')) headers.set('content-type', type)
  return new TextEncoder().encode(text)
}

function isRequest(input: string | URL | Request): input is Request {
  return typeof input === 'object' && 'url' in input && 'headers' in input
}

const SETTINGS = [
  'cache',
  'credentials',
  'integrity',
  'keepalive',
  'mode',
  'referrer',
  'referrerPolicy',
  'signal',
] as const

/** What else a `Request` says, without what its runtime does not know. */
function settingsOf(request: Request | undefined): RequestInit {
  if (request === undefined) return {}
  return Object.fromEntries(
    SETTINGS.map((name) => [name, request[name as keyof Request]]).filter(([, value]) => value !== undefined),
  ) as RequestInit
}
