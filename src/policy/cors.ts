import { isProblem, type Problem } from '../match/problem.ts'

/** What pages of the domains may do across origins, in terms of the Fetch standard. */
export interface CorsSettings {
  /**
   * The methods that pages may use: `["GET", "POST"]`. A cross-origin request with another method is refused, even if it
   * needs no preflight. Left out: preflights are answered with `GET,HEAD,PUT,PATCH,POST,DELETE`, and no method is refused.
   */
  readonly methods?: readonly string[] | undefined
  /** The request headers that pages may set, in lower case. Default: the headers that the preflight asks for. */
  readonly headers?: readonly string[] | undefined
  /** The response headers that pages may read in addition to the CORS-safelisted ones, in lower case. Left out: no others. */
  readonly exposedHeaders?: readonly string[] | undefined
  /** Whether pages may read responses to requests with credentials, such as cookies. Default: false. */
  readonly credentials?: boolean | undefined
  /** How long browsers may cache the answer to a preflight, in seconds. 0-7200. Default of browsers: 5. */
  readonly maxAge?: number | undefined
}

/** Chromium caps `Access-Control-Max-Age` at two hours, so a policy must not promise more. */
export const LONGEST_MAX_AGE = 7_200

/** Keeps the answer to a preflight within the header limits of clients. */
export const MOST_CORS_NAMES = 100

const METHOD = /^[A-Z][A-Z-]{0,31}$/
// A token (RFC 9110 5.6.2) without the asterisk, which has another meaning here.
const HEADER = /^[!#$%&'+.^_`|~0-9a-z-]{1,128}$/

/** Fetch 2.2.1: scripts cannot use these methods. */
const FORBIDDEN_METHODS: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Fetch 2.2.2: browsers set these headers themselves. */
const FORBIDDEN_REQUEST_HEADERS: ReadonlySet<string> = new Set(
  [
    'accept-charset accept-encoding access-control-request-headers access-control-request-method',
    'access-control-request-private-network connection content-length cookie cookie2 date dnt expect host keep-alive',
    'origin referer set-cookie te trailer transfer-encoding upgrade via',
  ].flatMap((line) => line.split(' ')),
)

type Read = Problem | { readonly text: string }

/** Reads a method that a page may use. Methods are case-sensitive, and Node has none in lower case. */
export function parseCorsMethod(text: string): Read {
  if (text === '*') return { problem: 'list the methods: `*` refuses nothing' }
  const upper = text.toUpperCase()
  if (!METHOD.test(upper)) return { problem: 'is not the name of a method' }
  if (FORBIDDEN_METHODS.has(upper)) return { problem: 'no browser lets a page use this method' }
  return upper === text ? { text } : { problem: 'methods are written in upper case', corrected: upper }
}

/** Reads a header that a page may set. */
export function parseRequestHeader(text: string): Read {
  if (text === '*') return { problem: 'list the headers, or omit `headers` to allow all requested headers' }
  const read = parseHeader(text)
  if (isProblem(read)) return read
  const { text: name } = read
  const forbidden =
    FORBIDDEN_REQUEST_HEADERS.has(name) || name.startsWith('sec-') || name.startsWith('proxy-')
  return forbidden ? { problem: 'no browser lets a page set this header' } : read
}

/** Reads a header that a page may read. */
export function parseResponseHeader(text: string): Read {
  if (text === '*') return { problem: 'list the headers: with credentials, `*` is only the name of a header' }
  const read = parseHeader(text)
  if (isProblem(read)) return read
  const forbidden = read.text === 'set-cookie' || read.text === 'set-cookie2'
  return forbidden ? { problem: 'no browser lets a page read this header' } : read
}

function parseHeader(text: string): Read {
  const lower = text.toLowerCase()
  if (!HEADER.test(lower)) return { problem: 'is not the name of a header' }
  return { text: lower }
}

/**
 * The answer to a preflight that may come from any of several apps: it grants what any of them grants, for the shortest of
 * their cache times.
 */
export function unionOfCors(settings: readonly [CorsSettings, ...CorsSettings[]]): CorsSettings {
  const ages = settings.map(({ maxAge }) => maxAge)
  return {
    methods: unionOf(settings.map(({ methods }) => methods ?? DEFAULT_METHODS)),
    headers: settings.some(({ headers }) => headers === undefined)
      ? undefined
      : unionOf(settings.map(({ headers }) => headers ?? [])),
    credentials: settings.some(({ credentials }) => credentials === true),
    maxAge: ages.includes(undefined) ? undefined : Math.min(...ages.map((age) => age ?? 0)),
  }
}

/** The defaults of the `cors` package. */
export const DEFAULT_METHODS: readonly string[] = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']

function unionOf(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())]
}
