import { unquoted, type Guess } from './guess.ts'
import { readUrl, withWebScheme } from './host.ts'
import { afterPattern, withoutExpression } from './origin-guess.ts'

const WILDCARD = 'has a wildcard: only the port of an http loopback address may be `*`'
const EVERYWHERE =
  'would admit every website: name each URL, like `https://example.org/callback`, or each path that all of them begin with'

/** The longest text that is looked at: a return URL and some more. */
const LONGEST = 4_096

/**
 * What was probably meant by a text that is no return URL, and why it is none. Where one of several is meant, the likeliest
 * comes first.
 */
export function guessReturnUrl(problem: string, written: string): Guess {
  if (written.length > LONGEST) return { problem, meant: [] }
  const text = withoutExpression(unquoted(written))
  for (const guess of [everywhere, several, pathAlone, ofPatterns, anyLoopbackPort, ofScheme]) {
    const found = guess(text)
    if (found !== undefined) return found
  }
  return { problem, meant: spellings(text) }
}

function everywhere(text: string): Guess | undefined {
  const isEverywhere = /^(?:\.?\*|(?:[a-z*?]{1,6}:)?\/\/\.?\*(?::\*)?(?:[/?#].*)?)$/i.test(text)
  return isEverywhere ? { problem: EVERYWHERE, meant: [] } : undefined
}

function several(text: string): Guess | undefined {
  const parts = text.split(/[\s,;|]/).filter((part) => part !== '')
  if (parts.length < 2 || !parts.every((part) => /^https?:\/\//i.test(part))) return undefined
  return { problem: 'holds several entries', meant: parts.flatMap(spellings), all: true }
}

/** `/callback`, `callback`. */
function pathAlone(text: string): Guess | undefined {
  const [, path] = /^\/?([A-Za-z0-9_-]{1,64}(?:\/[A-Za-z0-9_/-]{0,64})?)$/.exec(text) ?? []
  if (path === undefined || withWebScheme(text) !== text) return undefined
  return {
    problem: `is not a whole URL: write it with its scheme and host, like \`https://example.org/${path}\``,
    meant: [],
  }
}

/** `https?://example.org/`, `https://*.example.org/`, `https://example.org:*\/`. */
function ofPatterns(text: string): Guess | undefined {
  const afterScheme = afterPattern(text)
  if (afterScheme !== undefined) {
    const meant = ['https', 'http'].flatMap((scheme) => spellings(`${scheme}://${afterScheme}`))
    return { problem: 'has a pattern as its scheme', meant, all: true }
  }
  const [, host = '', rest = ''] = /^https?:\/\/([^/?#]{1,253})(.*)$/is.exec(withWebScheme(text)) ?? []
  if (/^[^:]*\*/.test(host))
    return { problem: 'has a wildcard in its host: write an entry for each host', meant: [] }
  if (!host.endsWith(':*') || readLoopback(text) !== undefined) return undefined
  const problem = 'has a wildcard as its port: write each port, or none for the default one'
  return {
    problem,
    meant: spellings(withWebScheme(text).replace(`${host}${rest}`, host.slice(0, -2) + rest)),
  }
}

/** The own machine with any port: host, and what follows the port. */
function readLoopback(text: string): [host: string, rest: string] | undefined {
  const [, host, rest] =
    /^http:\/\/([^/?#@:]{1,64}|\[[0-9A-Fa-f:.]{2,45}\]):\*([/?#].*)?$/is.exec(withWebScheme(text)) ?? []
  const hostname = host === undefined ? '' : (readUrl(`http://${host}/`)?.hostname ?? '')
  return /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(hostname) ? [hostname, rest ?? ''] : undefined
}

/** `http://localhost:*\/callback`: RFC 8252 8.3 asks for the address in place of the name. */
function anyLoopbackPort(text: string): Guess | undefined {
  const [host, rest] = readLoopback(text) ?? []
  if (host === undefined || rest === undefined) return undefined
  const hosts = host === 'localhost' ? ['127.0.0.1', '[::1]'] : [host]
  // A port stands in for the wildcard while the rest is read; nothing else is touched.
  const meant = hosts.flatMap((literal) =>
    spellings(`http://${literal}:1${rest}`).flatMap((url) =>
      url.includes(':1/') ? [url.replace(':1/', ':*/')] : [],
    ),
  )
  const problem = host === 'localhost' ? `${WILDCARD}, and \`localhost\` is a name` : WILDCARD
  return { problem, meant, all: true }
}

/** `myapp:callback`. */
function ofScheme(text: string): Guess | undefined {
  const [, scheme, path] = /^([a-z][a-z0-9+.-]{1,63}):([A-Za-z][A-Za-z0-9/_-]{0,255})$/.exec(text) ?? []
  if (scheme === undefined || path === undefined || withWebScheme(text) !== text) return undefined
  const problem = 'is not a return URL: it is not absolute'
  return { problem, meant: [`${scheme}:/${path}`] }
}

// User information, a backslash, a control character, an encoded dot: nobody can say what was meant.
const AMBIGUOUS = /^[^:]*:\/\/[^/?#]*@|[\\\0-\x1f]|%2e/i
const ESCAPES = /%[0-9A-Fa-f]{2}/g
const UNWISE = /[`{}]/g

/** How a parser would spell it, without what stands for "all below" at its end; then the text itself, and with a host in lower case. */
function spellings(text: string): string[] {
  const whole = withWebScheme(text).split('#', 1)[0] as string
  const candidate = whole.includes('?') ? whole : whole.replace(/([^*:])\*{1,3}$/, '$1')
  const url = AMBIGUOUS.test(candidate) ? undefined : readUrl(candidate)
  if (url === undefined) return []
  const printed = url.href.replace(ESCAPES, (escape) => escape.toUpperCase())
  const lower = candidate.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]+/i, (start) => start.toLowerCase())
  return [printed.replace(UNWISE, encodeURIComponent), candidate, lower]
}
