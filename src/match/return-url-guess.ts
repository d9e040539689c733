import { partsOf, unquoted, type Guess } from './guess.ts'
import { readUrl, withWebScheme } from './host.ts'

export const WILDCARD = 'has a wildcard: only the port of an http loopback address may be `*`'
const EVERYWHERE =
  'would admit every website: name each URL, like `https://example.org/callback`, or each path that all of them begin with'

/** The longest text that is examined: a return URL with a little extra. */
const LONGEST = 512

/** Why a text is not a return URL, and the texts that it was probably meant to be. */
export function guessReturnUrl(problem: string, written: string): Guess {
  if (written.length > LONGEST) return [problem]
  const text = unquoted(written)
  if (/^(?:\*|(?:https?|\*):\/\/\*(?::\*)?(?:[/?#].*)?)$/i.test(text)) return [EVERYWHERE]
  if (/^http:\/\/localhost:\*(?:\/|$)/i.test(text)) return [`${WILDCARD}, and \`localhost\` is a name`]
  if (/^\/(?!\/)/.test(text)) return ['is not a whole URL: write it with its scheme and host']
  const parts = partsOf(text)
  // In a query, separators may belong to one URL.
  const isList = parts.length > 1 && parts.every((part) => part.includes('://')) && !text.includes('?')
  return isList ? ['holds several entries', ...parts] : [problem, text]
}

/**
 * User information, a backslash, white space, a control character, a dot segment or a fragment: the meaning is unclear.
 * Without its fragment, an entry would admit more than it says.
 */
const AMBIGUOUS = /^[^:]*:\/\/[^/?#]*@|[\\\s\0-\x1f]|%2e|\/\.{1,2}(?:[/?#*]|$)|#./i
const ESCAPES = /%[0-9A-Fa-f]{2}/g
const UNWISE = /[`{}]/g

/**
 * Likely spellings of a text: as a parser prints it without a wildcard at its end, then as written, then with its host in
 * lower case.
 */
export function spellings(text: string): string[] {
  const whole = withWebScheme(text)
  if (AMBIGUOUS.test(whole)) return []
  const bare = whole.replace(/#$/, '')
  const candidate = bare.includes('?') ? bare : bare.replace(/([^*:])\*{1,3}$/, '$1')
  const url = readUrl(candidate)
  if (url === undefined) return []
  const printed = url.href.replace(ESCAPES, (escape) => escape.toUpperCase())
  const lower = candidate.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]+/i, (start) => start.toLowerCase())
  return [printed.replace(UNWISE, encodeURIComponent), candidate, lower]
}
