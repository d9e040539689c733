import { unquoted, type Guess } from './guess.ts'
import { isUsableScheme, readOrigin, readUrl, withWebScheme } from './host.ts'
import { isProblem } from './problem.ts'

export const NO_ORIGIN = 'is not an origin, which is a scheme, a host and perhaps a port'
export const EVERYBODY =
  'would admit every website: name each origin, like `https://example.org`, or `https://*.example.org` for all subdomains'

/** The longest text that is looked at: an origin and some more. */
const LONGEST = 1_024

/** Why a text is no origin, and the origins that it was probably meant to be. */
export function guessOrigin(problem: string, written: string): Guess {
  // With user information or a backslash nobody can say which host was meant.
  if (written.length > LONGEST || /@/.test(written)) return { problem: reasonOf(problem, written), meant: [] }
  const text = withoutExpression(unquoted(written))
  if (
    /^(?:\.?\*|(?:[a-z*?]{1,6}:)?\/\/(?:\.?\*)?(?::(?:\*|[0-9]+))?\/?\*?)$/i.test(text) &&
    text.includes('*')
  )
    return { problem: EVERYBODY, meant: [] }
  if (text.toLowerCase() === 'null') return { problem: NO_ORIGIN, meant: ['null'] }
  if (/^file:/i.test(text)) return { problem: 'is the scheme of files, whose pages send `null`', meant: [] }
  const parts = text.split(/[\s,;|]/).filter((part) => part !== '')
  const schemes = parts.filter((part) => part.includes('://')).length
  const isList = parts.every((part) => /^[a-z0-9.:/*-]{4,}$/i.test(part))
  if (parts.length > 1 && isList && schemes % parts.length === 0)
    return { problem: 'holds several entries', meant: parts.flatMap(originsOf), all: true }
  return patternOf(text) ?? { problem: reasonOf(problem, text), meant: originsOf(text) }
}

/** A text without the anchors of an expression, and with what it escapes: `^https:\/\/example\.org$`. */
export function withoutExpression(text: string): string {
  const [, expression] = /^\/?\^(.{1,512}?)\$?\/?$/.exec(text) ?? []
  return expression === undefined ? text : expression.replaceAll(/\\([./])/g, '$1')
}

const SCHEMES = /^(?:\*|http\*|https\?|http\(s\)\?|\(https?\|https?\)|\{https?,https?\}):\/\/(.{1,512})$/i

/** What follows a pattern of schemes that takes both: `https?://`, `*://`. */
export function afterPattern(text: string): string | undefined {
  return SCHEMES.exec(text)?.[1]
}

/** A pattern that an entry cannot be, and the entries that admit what it was meant to. */
function patternOf(text: string): Guess | undefined {
  const afterScheme = afterPattern(text)
  if (afterScheme !== undefined) {
    const meant = ['https', 'http'].flatMap((scheme) => originsOf(`${scheme}://${afterScheme}`))
    return { problem: 'has a pattern as its scheme', meant, all: true }
  }
  const whole = withWebScheme(text)
  const [, scheme, host] = /^(https?:\/\/)(?:\*(?![.*])|\.)([a-z0-9].{1,512})$/i.exec(whole) ?? []
  if (scheme !== undefined && host !== undefined) {
    const problem = 'does not say whether it means the host, its subdomains or both'
    return { problem, meant: originsOf(scheme + host).concat(originsOf(`${scheme}*.${host}`)) }
  }
  if (/:\*(?:\/|$)/.test(whole) && /^https?:\/\//i.test(whole)) {
    const problem = 'has a wildcard as its port: write each port, or none for the default one'
    return { problem, meant: originsOf(whole.replace(/:\*(?=\/|$)/, '')) }
  }
  return undefined
}

/** The origin of a URL, a bare host, or a name in other letters; none or one. */
function originsOf(text: string): string[] {
  const candidate = withWebScheme(text)
    .replace(/^(https?:\/\/)(?:\*+\.)+/i, '$1*.')
    .replace(/^(https?:\/\/[^/?#]{0,253}[^./?#:])\.(?=[/?#:]|$)/i, '$1')
  if (!/^https?:\/\/[^/]/i.test(candidate) || /[\s\\@]/.test(candidate)) return []
  const origin = readUrl(candidate)?.origin
  return origin === undefined ? [] : [origin]
}

/** The reason, with the part that is wrong. */
function reasonOf(problem: string, text: string): string {
  if (problem !== NO_ORIGIN) return problem
  const [, scheme, authority] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]{1,512})$/i.exec(text) ?? []
  if (scheme === undefined || authority === undefined) return problem
  if (!isUsableScheme(scheme.toLowerCase())) return `${problem}: it cannot have the scheme \`${scheme}\``
  const read = readOrigin(scheme.toLowerCase(), authority)
  return isProblem(read) ? `${problem}: its ${read.problem} is refused` : problem
}
