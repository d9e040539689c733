import { readBody } from './body.ts'
import { createCaller } from './caller.ts'
import { checkCallerOptions, type CallerOptions } from './options.ts'

export interface SignedFetchOptions extends CallerOptions {
  /** The `fetch` that sends the signed request. Default: the global `fetch`, looked up at each call. */
  fetch?: typeof fetch | undefined
}

/**
 * Returns a `fetch` that signs every request with {@link signRequest}, each with a new nonce and time.
 *
 * - It sends exactly the bytes that it signed. A body may be a string, bytes, `URLSearchParams` or a `Blob`. The body of a
 *   `Request` is read into memory. Streams and `FormData` are refused with a `TypeError`, because their bytes are not known
 *   before they are sent.
 * - It follows no redirects, because a signature is valid for one URL only: the 3xx response is returned. `redirect: 'error'`
 *   is supported, `redirect: 'follow'` is refused.
 *
 * Throws a `ConfigError` for invalid options. A call rejects with a `TypeError` if it cannot sign the request.
 */
export function signedFetch(
  options: SignedFetchOptions,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  checkCallerOptions('signedFetch', options, {
    fetch: { expected: 'a function', accepts: (value) => typeof value === 'function' },
  })
  const { fetch: send, ...calling } = options
  const sign = createCaller(calling)

  return async (input, init = {}) => {
    const request = isRequest(input) ? input : undefined
    const method = init.method ?? request?.method ?? 'GET'
    const headers = new Headers(init.headers ?? request?.headers)
    if (headers.has('host')) throw new TypeError('fetch does not send a `host` header that the caller sets')
    if (init.redirect === 'follow') {
      throw new TypeError('a signature is valid for one URL only: follow the redirect with a new request')
    }
    const body = (await readBody(init.body, headers)) ?? (await bodyOf(request))
    // Like signing, `fetch` drops the fragment and sends the rest as the URL parser prints it.
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

async function bodyOf(request: Request | undefined): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const content = request === undefined ? undefined : new Uint8Array(await request.arrayBuffer())
  return content?.length === 0 ? undefined : content
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

/** The other settings of a `Request`, without those that its runtime does not support. */
function settingsOf(request: Request | undefined): RequestInit {
  if (request === undefined) return {}
  return Object.fromEntries(
    SETTINGS.map((name) => [name, request[name as keyof Request]]).filter(([, value]) => value !== undefined),
  ) as RequestInit
}
