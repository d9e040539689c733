import { suggestion } from './guess.ts'
import { isUsableScheme, isWebScheme, readOrigin, readUrl } from './host.ts'
import { withCanonicalHost } from './idn.ts'
import { encodingProblem, exactPathProblem, pathProblem, type EncodingProblem } from './percent-encoding.ts'
import { isProblem, type Problem } from './problem.ts'
import { guessReturnUrl, spellings, WILDCARD } from './return-url-guess.ts'
import { sayUrlProblem } from './return-url-words.ts'

/** A return URL that all parsers read in the same way. */
export interface ReturnUrl {
  /** The canonical form, for redirects. */
  readonly href: string
  /** `https://example.org`, or `com.example.app:` for a scheme without authority. */
  readonly origin: string
  readonly path: string
  /** Starts with `?`; empty if the URL has no query. */
  readonly query: string
}

/** Why a return URL was refused. */
export type ReturnUrlProblem =
  | 'not a string'
  | 'too long'
  | 'control character'
  | 'backslash'
  | 'not ASCII'
  | 'character'
  | 'not absolute'
  | 'scheme'
  | 'user information'
  | 'fragment'
  | 'host'
  | 'port'
  | EncodingProblem
  | 'repaired'

interface Refusal {
  readonly problem: ReturnUrlProblem
}

const MAX_LENGTH = 2048
// Printable ASCII without space, double quote, angle brackets and backslash.
const CHARACTERS = /^[!#-;=?-[\]-~]*$/
// RFC 3986 3.3: the characters of a path. A query may contain others if parsers leave them unchanged.
const PATH_CHARACTERS = /^[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/
const AFTER_SCHEME = /^(?:\/\/([^/?#]*))?(\/[^?#]*)?(\?[^#]*)?(#.*)?$/
const ESCAPES = /%[0-9A-Fa-f]{2}/g
const LOWER_CASE_ESCAPE = /%(?:[a-f]|[0-9A-F][a-f])/
const UNWISE = /[`{}]/
const UNWISE_ALL = /[`{}]/g

/**
 * Reads a return URL strictly. The text must equal the output of a URL parser, apart from the case of scheme, host and
 * percent-encodings, a default port, an empty path, and quotes, braces and backticks in a query. Text that parsers repair or
 * read differently is refused, and the refusal names the problem.
 *
 * Follows RFC 3986 and the URL standard. Fragments are refused (RFC 6749 3.1.2), and so is text of more than 2,048
 * characters. Schemes other than http and https need an authority or a path: `myapp://callback/x`,
 * `com.example.app:/callback` (RFC 8252 7.1), `myapp:///x`. Never throws. The work is linear in the length of the text.
 */
export function parseReturnUrl(raw: unknown): ReturnUrl | Refusal {
  return read(raw, pathProblem)
}

/** {@link parseReturnUrl} for requests, with a cache of recent URLs. */
export function parseNamedUrl(raw: unknown): ReturnUrl | Refusal {
  if (typeof raw !== 'string' || raw.length > LONGEST_KEPT) return parseReturnUrl(raw)
  const known = latelyNamed.get(raw)
  if (known !== undefined) return known
  const url = parseReturnUrl(raw)
  if (isProblem(url)) return url
  if (latelyNamed.size >= MOST_KEPT) latelyNamed.clear()
  latelyNamed.set(raw, Object.freeze(url))
  return url
}

/** An app uses only a few return URLs, and parsing one takes longer than the rest of its check. */
const latelyNamed = new Map<string, ReturnUrl>()
const MOST_KEPT = 256
const LONGEST_KEPT = 512

/**
 * Like {@link parseReturnUrl}, but also accepts a path with encoded slashes; path and query then stay as written. Programs
 * read such a path differently, so only an exact entry that is equal byte for byte admits it.
 */
export function parseExactUrl(raw: unknown): ReturnUrl | Refusal {
  const strict = parseReturnUrl(raw)
  return isProblem(strict) && strict.problem === 'encoded separator' ? read(raw, exactPathProblem) : strict
}

type PathJudge = (path: string) => EncodingProblem | undefined

function read(raw: unknown, judge: PathJudge): ReturnUrl | Refusal {
  if (typeof raw !== 'string') return { problem: 'not a string' }
  if (raw.length > MAX_LENGTH) return { problem: 'too long' }
  if (!CHARACTERS.test(raw)) return { problem: characterProblem(raw) }
  if (!SCHEME.test(raw)) return { problem: 'not absolute' }
  const scheme = raw.slice(0, raw.indexOf(':'))
  if (!isUsableScheme(scheme.toLowerCase())) return { problem: 'scheme' }
  const text = raw.includes("'") ? withEscapedQuotes(raw) : raw
  if (text.length > MAX_LENGTH) return { problem: 'too long' }
  return readRest(text, scheme.toLowerCase(), text.slice(scheme.length + 1), judge)
}

/** The URL standard escapes single quotes in a query of http and https, but not in a path. */
function withEscapedQuotes(raw: string): string {
  const start = raw.indexOf('?')
  return start === -1 ? raw : raw.slice(0, start) + raw.slice(start).replaceAll("'", '%27')
}

function readRest(text: string, scheme: string, rest: string, judge: PathJudge): ReturnUrl | Refusal {
  const parts = AFTER_SCHEME.exec(rest)
  if (parts === null) return { problem: 'not absolute' }
  const [, authority, writtenPath = '', writtenQuery = '', fragment] = parts
  if (authority === undefined && (isWebScheme(scheme) || writtenPath === ''))
    return { problem: 'not absolute' }
  const read = readPlace(scheme, authority, writtenPath)
  if (isProblem(read) && read.problem === 'user information') return read
  if (fragment !== undefined) return { problem: 'fragment' }
  if (isProblem(read)) return read
  if (!PATH_CHARACTERS.test(writtenPath)) return { problem: 'character' }
  const spelled = judge === pathProblem ? upperCaseEscapes : asWritten
  const path = spelled(writtenPath === '' && isWebScheme(scheme) ? '/' : writtenPath)
  const query = spelled(writtenQuery)
  const problem = judge(path) ?? encodingProblem(query)
  if (problem !== undefined) return { problem }
  const href = read.origin + path + query
  // Finally, the text is compared with the output of the parser that browsers use.
  if (upperCaseEscapes(readUrl(text)?.href ?? '') !== upperCaseEscapes(href)) return { problem: 'repaired' }
  return escapeUnwise({ href, origin: read.origin, path, query })
}

function asWritten(text: string): string {
  return text
}

/** The origin. App schemes may omit the host if a path follows: `myapp:///x`. */
function readPlace(
  scheme: string,
  authority: string | undefined,
  path: string,
): ReturnType<typeof readOrigin> {
  if (authority === undefined) return { origin: `${scheme}:` }
  const isLocal = authority === '' && !isWebScheme(scheme) && path !== '' && !path.startsWith('//')
  return isLocal ? { origin: `${scheme}://` } : readOrigin(scheme, authority)
}

/**
 * Browsers leave these characters as they are in a query, RFC 3986 allows them only escaped, and Express escapes them in
 * redirects. Handlers get the escaped form, which no later program changes.
 */
function escapeUnwise(url: ReturnUrl): ReturnUrl | Refusal {
  if (!UNWISE.test(url.query)) return url
  const query = url.query.replace(UNWISE_ALL, encodeURIComponent)
  const href = url.origin + url.path + query
  return href.length > MAX_LENGTH ? { problem: 'too long' } : { ...url, href, query }
}

function characterProblem(text: string): ReturnUrlProblem {
  for (const character of text) {
    if (character < ' ' || character === '\x7f') return 'control character'
    if (character === '\\') return 'backslash'
    if (character > '\x7f') return 'not ASCII'
  }
  return 'character'
}

function upperCaseEscapes(text: string): string {
  return LOWER_CASE_ESCAPE.test(text) ? text.replace(ESCAPES, (escape) => escape.toUpperCase()) : text
}

/** An entry of a list of return URLs. */
export interface ReturnUrlEntry {
  /** The entry in canonical form. */
  readonly text: string
  readonly kind: 'prefix' | 'exact'
  /** Like the origin of a {@link ReturnUrl}; ends with `:*` if the entry admits any port of a loopback address. */
  readonly origin: string
  readonly path: string
  readonly query: string
  /** Whether its path contains encoded slashes, so that it is compared byte for byte. */
  readonly encodedSlash: boolean
}

const LOOPBACK_ANY_PORT = /^(http:\/\/(?:127\.0\.0\.1|\[::1\])):\*(?=[/?#]|$)/

/** An entry of a return URL list, as a policy writes it. */
export type ReturnUrlText = string | { readonly exact: string }

/**
 * Reads an entry of a policy: a URL that is a prefix on a segment boundary, or `{ exact }`. Accepts the same URLs as
 * {@link parseReturnUrl}; the host may also be in Unicode, as {@link withCanonicalHost} accepts it. `text` of the result is
 * the canonical form. `:*` in place of the port admits any port of a literal loopback address of http (RFC 8252 7.3). An
 * exact entry may contain encoded slashes, which are kept and compared byte for byte.
 */
export function parseReturnUrlEntry(entry: ReturnUrlText): ReturnUrlEntry | Problem {
  const kind = typeof entry === 'string' ? 'prefix' : 'exact'
  const text = typeof entry === 'string' ? entry : entry.exact
  const canonical = withCanonicalHost(text)
  const read = readEntry(kind, canonical)
  if (!isProblem(read)) return read
  const guess = guessReturnUrl(read.problem, canonical)
  const suggested = suggestion(guess, (part) => nearestEntry(kind, part))
  const [problem, meant, ...others] = guess
  if (suggested.corrected !== undefined || kind === 'exact' || meant === undefined || others.length > 0)
    return suggested
  const exact = nearestEntry('exact', meant)
  return exact === undefined ? { problem } : { problem, corrected: JSON.stringify({ exact }) }
}

function nearestEntry(kind: 'prefix' | 'exact', text: string): string | undefined {
  for (const spelling of spellings(text)) {
    const read = readEntry(kind, spelling)
    if (!isProblem(read)) return read.text
  }
  return undefined
}

function readEntry(kind: 'prefix' | 'exact', text: string): ReturnUrlEntry | Problem {
  const anyPort = LOOPBACK_ANY_PORT.exec(text)?.[1]
  const plain = anyPort === undefined ? text : anyPort + text.slice(anyPort.length + 2)
  if (plain.split('?', 1)[0]?.includes('*')) {
    return { problem: WILDCARD }
  }
  const url = kind === 'exact' ? parseExactUrl(plain) : parseReturnUrl(plain)
  if (isProblem(url)) return { problem: `is not a return URL: ${sayUrlProblem(url.problem)}` }
  const origin = anyPort === undefined ? url.origin : `${anyPort}:*`
  if (kind === 'prefix' && url.query !== '') {
    return { problem: 'has a query, which a prefix cannot have: leave it out, or write { "exact": … }' }
  }
  const { path, query } = url
  const encodedSlash = isProblem(parseReturnUrl(plain))
  return { text: origin + path + query, kind, origin, path, query, encodedSlash }
}
