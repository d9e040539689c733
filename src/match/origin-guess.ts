import { partsOf, unquoted, type Guess } from './guess.ts'
import { isUsableScheme, readOrigin, readUrl, withWebScheme } from './host.ts'
import { isProblem } from './problem.ts'

export const NO_ORIGIN = 'is not an origin, which is a scheme, a host and perhaps a port'
const EVERYBODY =
  'would admit every website: name each origin, like `https://example.org`, or `https://*.example.org` for all subdomains'

/** The longest text that is examined: an origin with a little extra. */
const LONGEST = 512

/** Why a text is not an origin, and the origins that it was probably meant to be. */
export function guessOrigin(problem: string, written: string): Guess {
  if (written.length > LONGEST) return [problem]
  const text = unquoted(written)
  if (/^(?:(?:https?|\*):\/\/)?\*(?::(?:\*|[0-9]+))?\/?$/i.test(text)) return [EVERYBODY]
  if (/^https?:\/\/[^/]*:\*\/?$/i.test(text))
    return ['has a wildcard as its port: write each port, or none for the default one']
  const parts = partsOf(text)
  const schemes = parts.filter((part) => part.includes('://')).length
  const origins = schemes % parts.length === 0 ? parts.map(originOf) : []
  const isRead = origins.every((origin) => origin !== undefined)
  if (parts.length > 1 && origins.length > 0 && isRead) return ['holds several entries', ...origins]
  const reason = reasonOf(problem, text)
  return parts.length === 1 && origins.length === 1 && isRead ? [reason, ...origins] : [reason]
}

/** The origin of a URL, of a bare host, or of a host in Unicode. */
function originOf(text: string): string | undefined {
  const candidate = withWebScheme(text)
  // With user information or a backslash, the intended host is unclear.
  if (!/^https?:\/\/[^/]/i.test(candidate) || /[\\@]/.test(candidate)) return undefined
  return readUrl(candidate)?.origin
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
