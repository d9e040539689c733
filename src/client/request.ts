import { readUrl } from '../match/host.ts'
import { isHeaderName } from './options.ts'

/** A record, a `Headers` object or any list of pairs. */
export type HeadersLike = Readonly<Record<string, string>> | Iterable<readonly [string, string]>

/** The request exactly as it will be sent. */
export interface RequestToSign {
  /** In upper case, as sent. */
  readonly method: string
  /** Absolute, `http:` or `https:`. A fragment is neither sent nor signed. */
  readonly url: string | URL
  readonly headers?: HeadersLike | undefined
  /** Exactly the bytes that are sent. A string is sent as UTF-8. Not for GET and HEAD. */
  readonly body?: string | Uint8Array | ArrayBuffer | undefined
}

// `fetch` converts these methods to upper case, and leaves all others unchanged.
const UPPERCASED = /^(?:delete|get|head|options|post|put)$/i

/** The method as `fetch` would send it. */
export function parseMethod(given: string): string {
  const method = UPPERCASED.test(given) ? given.toUpperCase() : given
  // The target of CONNECT is a host, and the response to TRACE would echo the signature.
  if (/^(?:CONNECT|TRACE)$/.test(method)) throw new TypeError(`a ${method} request cannot be signed`)
  if (/^[A-Z][A-Z-]*$/.test(method)) return method
  throw new TypeError('`method` must be an HTTP method in upper case, like `PATCH`')
}

export function parseUrl(given: string | URL): URL {
  const url = readUrl(String(given))
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('`url` must be an absolute http or https URL')
  }
  if (url.username !== '' || url.password !== '')
    throw new TypeError('`url` must not contain a user name or password')
  return url
}

// Receivers keep the first or the last of several lines, so these headers must be sent once.
const SENT_ONCE: ReadonlySet<string> = new Set([
  'authorization',
  'content-digest',
  'content-length',
  'content-type',
  'cookie',
  'host',
  'x-origin',
])

const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Parses headers, and checks that each can be sent and covered. */
export function parseHeaders(given: HeadersLike = {}): Headers {
  const pairs = Symbol.iterator in given ? [...given] : Object.entries(given)
  const headers = new Headers()
  for (const [name, value] of pairs) {
    // Checked before `Headers`, which would show the value in its error and accept control characters.
    if (!isHeaderName(name)) throw new TypeError('the name of a header is not a token (RFC 9110 5.1)')
    if (typeof value !== 'string' || !VALUE.test(value)) {
      throw new TypeError(`header \`${name}\` must be a string of Latin-1 without control characters`)
    }
    if (SENT_ONCE.has(name.toLowerCase()) && headers.has(name)) {
      throw new TypeError(`header \`${name.toLowerCase()}\` must be given once`)
    }
    headers.append(name, value)
  }
  if (headers.has('set-cookie')) throw new TypeError('`set-cookie` is a header of responses')
  return headers
}

/** Returns the bytes of a body, and checks that the headers describe it correctly. */
export function parseContent(
  method: string,
  body: RequestToSign['body'],
  headers: Headers,
): Uint8Array<ArrayBuffer> | undefined {
  const bytes = contentOf(body)
  const length = headers.get('content-length')
  if (bytes !== undefined && bytes.length > 0) {
    if (method === 'GET' || method === 'HEAD') throw new TypeError(`a ${method} request must not have a body`)
    if (length !== null && length !== String(bytes.length)) {
      throw new TypeError('`content-length` is not the length of the body')
    }
    return bytes
  }
  const announced = headers.has('transfer-encoding') || (length !== null && Number(length) !== 0)
  if (announced && (bytes !== undefined || !headers.has('content-digest'))) {
    throw new TypeError('the headers announce a body: pass the body or its `content-digest`')
  }
  if (bytes === undefined && headers.has('content-digest'))
    checkDigest(headers.get('content-digest') as string)
  return bytes
}

const DIGEST = /^(?:sha-256=:[A-Za-z0-9+/]{43}=:|sha-512=:[A-Za-z0-9+/]{86}==:)$/

function checkDigest(given: string): void {
  const members = given.split(',').map((member) => member.trim())
  const names = new Set(members.map((member) => member.slice(0, 7)))
  if (!members.every((member) => DIGEST.test(member)) || names.size !== members.length) {
    throw new TypeError(
      '`content-digest` must contain a sha-256 or sha-512 digest (RFC 9530), each at most once',
    )
  }
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
