import {
  DEFAULT_PORTS,
  isCanonicalHost,
  isPort,
  isUsableScheme,
  isWebScheme,
  splitAuthority,
} from './host.ts'
import type { Problem } from './problem.ts'

/** A return URL that every parser reads alike. */
export interface ReturnUrl {
  /** The canonical form: what to redirect to. */
  readonly href: string
  /** `https://example.org`, or `com.example.app:` for a scheme without authority. */
  readonly origin: string
  readonly path: string
  /** With its `?`; empty when there is none. */
  readonly query: string
}

/** Why a return URL was refused. */
export type ReturnUrlProblem =
  | 'not a text'
  | 'too long'
  | 'character'
  | 'not absolute'
  | 'scheme'
  | 'user information'
  | 'fragment'
  | 'host'
  | 'port'
  | 'encoding'
  | 'encoded control character'
  | 'encoded separator'
  | 'dot segment'
  | 'repaired'

const MAX_LENGTH = 2048
// Printable ASCII without space, double quotation mark, angle brackets, backslash and backtick.
const CHARACTERS = /^[!#-;=?-[\]^_a-~]*$/
// RFC 3986 3.3: what may stand in a path. A query may hold more, as long as parsers leave it as it is.
const PATH_CHARACTERS = /^[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/
const PARTS = /^([A-Za-z][A-Za-z0-9+.-]*):(\/\/([^/?#]*))?(\/[^?#]*)?(\?[^#]*)?(#.*)?$/s
const PERCENT = /%[0-9A-Fa-f]{2}/g
const BROKEN_PERCENT = /%(?![0-9A-Fa-f]{2})/
const CONTROL = /[\0-\x1f\x7f-\x9f]/
const MAX_DECODINGS = 8

/**
 * Reads a return URL strictly: the text must be what a parser prints back, host case, default port, the case of
 * percent-encodings and an empty path aside. Text that parsers repair or read differently is refused by name.
 *
 * Follows RFC 3986 and the URL standard; no fragment (RFC 6749 3.1.2). Never throws; linear in the length of the text.
 */
export function parseReturnUrl(raw: unknown): ReturnUrl | { readonly problem: ReturnUrlProblem } {
  if (typeof raw !== 'string') return { problem: 'not a text' }
  if (raw.length > MAX_LENGTH) return { problem: 'too long' }
  if (!CHARACTERS.test(raw)) return { problem: 'character' }
  const parts = PARTS.exec(raw)
  if (parts === null) return { problem: 'not absolute' }
  const scheme = (parts[1] as string).toLowerCase()
  if (!isUsableScheme(scheme)) return { problem: 'scheme' }
  if (parts[6] !== undefined) return { problem: 'fragment' }
  const authority = parts[3]
  const origin = authority === undefined ? schemeOnly(scheme) : readAuthority(scheme, authority)
  if (typeof origin !== 'string') return origin
  if (!PATH_CHARACTERS.test(parts[4] ?? '')) return { problem: 'character' }
  const path = upperCasePercent(parts[4] ?? (isWebScheme(scheme) ? '/' : ''))
  const query = upperCasePercent(parts[5] ?? '')
  const problem = pathProblem(path) ?? encodingProblem(query)
  if (problem !== undefined) return { problem }
  const href = origin + path + query
  // The last word has the parser that browsers use.
  if (!URL.canParse(raw) || upperCasePercent(new URL(raw).href) !== href) return { problem: 'repaired' }
  return { href, origin, path, query }
}

function schemeOnly(scheme: string): string | { problem: ReturnUrlProblem } {
  return isWebScheme(scheme) ? { problem: 'not absolute' } : `${scheme}:`
}

function readAuthority(scheme: string, authority: string): string | { problem: ReturnUrlProblem } {
  if (authority.includes('@')) return { problem: 'user information' }
  const { host, port } = splitAuthority(authority)
  if (port !== undefined && !isPort(port)) return { problem: 'port' }
  const name = isWebScheme(scheme) ? host.toLowerCase() : host
  if (!isCanonicalHost(name)) return { problem: 'host' }
  return `${scheme}://${name}${port === undefined || port === DEFAULT_PORTS[scheme] ? '' : `:${port}`}`
}

function upperCasePercent(text: string): string {
  return text.includes('%') ? text.replace(PERCENT, (escape) => escape.toUpperCase()) : text
}

/** Looks at a path as it stands and as it reads after each decoding that somebody behind us may do. */
function pathProblem(path: string): ReturnUrlProblem | undefined {
  const slashes = count(path, '/')
  let text = path
  for (let depth = 0; depth <= MAX_DECODINGS; depth += 1) {
    if (hasDotSegment(text)) return 'dot segment'
    if (text.includes('\\') || count(text, '/') !== slashes) return 'encoded separator'
    if (CONTROL.test(text)) return 'encoded control character'
    if (!text.includes('%')) return undefined
    if (depth === 0 && BROKEN_PERCENT.test(text)) return 'encoding'
    const decoded = decode(text, depth)
    if (decoded === undefined) return 'encoding'
    if (decoded === text) return undefined
    text = decoded
  }
  return 'encoding'
}

/** The first decoding must be of well-formed UTF-8; deeper down a percent sign may be just that. */
function decode(text: string, depth: number): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    if (depth === 0) return undefined
    return text.replace(PERCENT, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)))
  }
}

/** `.` and `..`, also before a `;`, from which on some servers drop a segment. */
function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => {
    const end = segment.indexOf(';')
    const name = end === -1 ? segment : segment.slice(0, end)
    return name === '.' || name === '..'
  })
}

/** A query is data, but it must be well-formed and must not decode to control characters. */
function encodingProblem(query: string): ReturnUrlProblem | undefined {
  if (!query.includes('%')) return undefined
  if (BROKEN_PERCENT.test(query)) return 'encoding'
  const decoded = decode(query, 0)
  if (decoded === undefined) return 'encoding'
  return CONTROL.test(decoded) ? 'encoded control character' : undefined
}

function count(text: string, character: string): number {
  return text.split(character).length
}

/** An entry of a list of return URLs. */
export interface ReturnUrlEntry {
  /** The entry as written, which is its canonical spelling. */
  readonly text: string
  readonly kind: 'prefix' | 'exact'
  /** What admitted URLs are looked up by: origin and path, for `exact` with the query. */
  readonly key: string
}

const LOOPBACK_ANY_PORT = /^http:\/\/(127\.0\.0\.1|\[::1\]):\*(?=\/|$)/

/**
 * Reads an entry of a policy: a URL that is a prefix on a segment boundary, or `{ exact }`. It must be in canonical
 * spelling. With `:*` in place of a port a loopback address of http admits any port (RFC 8252 7.3).
 */
export function parseReturnUrlEntry(entry: string | { readonly exact: string }): ReturnUrlEntry | Problem {
  const kind = typeof entry === 'string' ? 'prefix' : 'exact'
  const text = typeof entry === 'string' ? entry : entry.exact
  const anyPort = LOOPBACK_ANY_PORT.exec(text)
  const plain = anyPort === null ? text : text.replace(':*', '')
  const url = parseReturnUrl(plain)
  if ('problem' in url) return { problem: `is not a return URL: ${url.problem}` }
  const canonical = anyPort === null ? url.href : url.href.replace(url.origin, `${url.origin}:*`)
  if (canonical !== text) return { problem: 'is not in canonical spelling', corrected: canonical }
  if (kind === 'prefix' && url.query !== '') {
    return {
      problem: 'a prefix has no query: leave it out, or write { "exact": … }',
      corrected: text.slice(0, text.indexOf('?')),
    }
  }
  return { text, kind, key: canonical }
}
