import { partsOf, unquoted, type Guess } from './guess.ts'
import { readUrl, withWebScheme } from './host.ts'

export const WILDCARD = 'has a wildcard: only the port of an http loopback address may be `*`'
const EVERYWHERE =
  'would admit every website: name each URL, like `https://example.org/callback`, or each path that all of them begin with'

/** The longest text that is looked at: a return URL and some more. */
const LONGEST = 512

/** Why a text is no return URL, and the texts that it was probably meant to be. */
export function guessReturnUrl(problem: string, written: string): Guess {
  if (written.length > LONGEST) return [problem]
  const text = unquoted(written)
  if (/^(?:\*|(?:https?|\*):\/\/\*(?::\*)?(?:[/?#].*)?)$/i.test(text)) return [EVERYWHERE]
  if (/^http:\/\/localhost:\*(?:\/|$)/i.test(text)) return [`${WILDCARD}, and \`localhost\` is a name`]
  if (/^\/(?!\/)/.test(text)) return ['is not a whole URL: write it with its scheme and host']
  const parts = partsOf(text)
  // In a query they may belong to one URL.
  const isList = parts.length > 1 && parts.every((part) => part.includes('://')) && !text.includes('?')
  return isList ? ['holds several entries', ...parts] : [problem, text]
}

/**
 * User information, a backslash, a blank, a control character, a dot segment, a fragment: nobody can say what was meant. What is
 * before a fragment would admit more than the whole.
 */
const AMBIGUOUS = /^[^:]*:\/\/[^/?#]*@|[\\\s\0-\x1f]|%2e|\/\.{1,2}(?:[/?#*]|$)|#./i
const ESCAPES = /%[0-9A-Fa-f]{2}/g
const UNWISE = /[`{}]/g

/** How a parser would spell it, without what stands for "all below" at its end; then the text itself, and with a host in lower case. */
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
