import { isProblem, type Problem } from '../match/problem.ts'

/** What pages of the domains may do across origins, in the terms of the Fetch standard. */
export interface CorsSettings {
  /**
   * The methods that pages may use: `["GET", "POST"]`. A cross-origin request with another is refused, also one that needs
   * no preflight. Left out: preflights are answered with `GET,HEAD,PUT,PATCH,POST,DELETE`, and no method is refused.
   */
  readonly methods?: readonly string[] | undefined
  /** The request headers that pages may set, in lower case. Left out: those that a preflight asks for. */
  readonly headers?: readonly string[] | undefined
  /** The response headers that pages may read besides those that they always may, in lower case. Left out: none. */
  readonly exposedHeaders?: readonly string[] | undefined
  /** Whether pages may read responses to requests with cookies and the like. Left out: no. */
  readonly credentials?: boolean | undefined
  /** How long browsers may remember the answer to a preflight, in seconds. 0-7200. Left out: they take five. */
  readonly maxAge?: number | undefined
}

/** What browsers cap `Access-Control-Max-Age` at (Chromium: two hours), so that a policy does not promise more. */
export const LONGEST_MAX_AGE = 7_200

/** So that no answer to a preflight outgrows what clients take as headers. */
export const MOST_CORS_NAMES = 100

const METHOD = /^[A-Z][A-Z-]{0,31}$/
// RFC 9110 5.6.2, a token. The asterisk is one, but means something else here.
const HEADER = /^[!#$%&'+.^_`|~0-9a-z-]{1,128}$/

/** Fetch 2.2.1: no script can send these. */
const FORBIDDEN_METHODS: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Fetch 2.2.2: a browser writes these by itself. */
const FORBIDDEN_REQUEST_HEADERS: ReadonlySet<string> = new Set(
  [
    'accept-charset accept-encoding access-control-request-headers access-control-request-method',
    'access-control-request-private-network connection content-length cookie cookie2 date dnt expect host keep-alive',
    'origin referer set-cookie te trailer transfer-encoding upgrade via',
  ].flatMap((line) => line.split(' ')),
)

type Read = Problem | { readonly text: string }

/** A method that a page may use. Methods are case-sensitive, and Node knows none in lower case. */
export function parseCorsMethod(text: string): Read {
  if (text === '*') return { problem: 'list the methods: `*` refuses nothing' }
  const upper = text.toUpperCase()
  if (!METHOD.test(upper)) return { problem: 'is not the name of a method' }
  if (FORBIDDEN_METHODS.has(upper)) return { problem: 'no browser lets a page use this method' }
  return upper === text ? { text } : { problem: 'methods are written in upper case', corrected: upper }
}

/** A header that a page may set. */
export function parseRequestHeader(text: string): Read {
  if (text === '*') return { problem: 'list the headers, or omit `headers` to allow all requested headers' }
  const read = parseHeader(text)
  if (isProblem(read)) return read
  const { text: name } = read
  const forbidden =
    FORBIDDEN_REQUEST_HEADERS.has(name) || name.startsWith('sec-') || name.startsWith('proxy-')
  return forbidden ? { problem: 'no browser lets a page set this header' } : read
}

/** A header that a page may read. */
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
 * What a preflight may be told that does not say which of these apps will call: whatever one of them would have told it,
 * remembered for as long as all of them say.
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

/** Those that the `cors` package answers when it is told none. */
export const DEFAULT_METHODS: readonly string[] = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']

function unionOf(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())]
}
