import { suggestion, takenText } from './guess.ts'
import { hostnameOf, isUsableScheme, isWebScheme, readOrigin } from './host.ts'
import { withCanonicalHost, withLowerScheme } from './idn.ts'
import { guessOrigin, NO_ORIGIN } from './origin-guess.ts'
import { isProblem, type Problem } from './problem.ts'
import { publicSuffixOf } from './public-suffix.ts'

/** An entry of a list of domains. */
export interface OriginEntry {
  /** The entry in canonical spelling. */
  readonly text: string
  /** A wildcard admits every subdomain of what follows its `*.`, at any depth. */
  readonly kind: 'exact' | 'wildcard'
}

const MAX_LENGTH = 512
const PRINTABLE = /^[!-~]*$/
const WILDCARD = '://*.'
// A store asks once for each wildcard that could admit an origin, and a caller chooses how many labels it has.
const MAX_WILDCARD_LABELS = 10

/**
 * The canonical form of an origin that a request names (RFC 6454 6.2): `https://example.org:8443`, or `null`. The case of
 * scheme and host of http(s) and an explicit default port are put right; any other text that is not a serialised
 * origin gives `undefined`.
 */
export function parseOrigin(text: string): string | undefined {
  if (text === 'null') return text
  // Before any folding of case, which would make a plain k of the Kelvin sign.
  if (text.length > MAX_LENGTH || !PRINTABLE.test(text)) return undefined
  const split = text.indexOf('://')
  const scheme = text.slice(0, Math.max(split, 0)).toLowerCase()
  if (!isUsableScheme(scheme)) return undefined
  if (!isWebScheme(scheme) && !text.startsWith(scheme)) return undefined
  const read = readOrigin(scheme, text.slice(split + 3))
  return isProblem(read) ? undefined : read.origin
}

/**
 * Reads an entry of a policy: an origin, `null`, or `https://*.example.org`. Scheme and host may be in any case, a default port
 * may be written, and a host may be in Unicode, as {@link withCanonicalHost} takes it; `text` of the result is the canonical
 * form. A wildcard is the whole leftmost label, stands on a name of http(s) with at most ten labels, and not directly on a
 * public suffix.
 */
export function parseOriginEntry(text: string): OriginEntry | Problem {
  const entry = readEntry(withCanonicalHost(text))
  if (!isProblem(entry)) return entry
  return suggestion(guessOrigin(entry.problem, text), (meant) => takenText(readEntry(meant)))
}

function readEntry(text: string): OriginEntry | Problem {
  if (text.includes('*')) return readWildcard(text)
  const canonical = parseOrigin(withLowerScheme(text))
  if (canonical !== undefined) return { text: canonical, kind: 'exact' }
  return { problem: NO_ORIGIN }
}

function readWildcard(text: string): OriginEntry | Problem {
  const written = text.replace(WILDCARD, '://')
  if (written.includes('*')) return { problem: 'a wildcard must be the whole leftmost label' }
  const base = parseOrigin(withLowerScheme(written))
  if (base === undefined) {
    return { problem: NO_ORIGIN }
  }
  const hostname = hostnameOf(base)
  const suffix = publicSuffixOf(hostname)
  if (suffix === undefined || !isWebScheme(base.slice(0, base.indexOf(':')))) {
    return { problem: 'a wildcard needs a host name and the scheme http or https' }
  }
  if (suffix === hostname) return { problem: 'a wildcard must not cover a public suffix' }
  if (hostname.split('.').length > MAX_WILDCARD_LABELS) {
    return { problem: `a wildcard must be followed by at most ${MAX_WILDCARD_LABELS} labels` }
  }
  return { text: base.replace('://', WILDCARD), kind: 'wildcard' }
}

/**
 * The texts of all entries that could admit a canonical origin, the narrowest first: itself, then a wildcard for each
 * parent longer than the public suffix of the host, at most ten. A store looks apps up by these.
 */
export function originIndexKeys(origin: string): readonly string[] {
  return [origin, ...wildcardsOver(origin).filter((wildcard) => reaches(wildcard, origin))]
}

/** A wildcard for each parent of the host of a canonical origin, the narrowest first, at most ten. */
export function wildcardsOver(origin: string): readonly string[] {
  const start = origin.indexOf('://') + 3
  if (!isWebScheme(origin.slice(0, Math.max(start - 3, 0)))) return []
  const wildcards: string[] = []
  for (let dot = origin.indexOf('.', start); dot !== -1; dot = origin.indexOf('.', dot + 1))
    wildcards.push(`${origin.slice(0, start)}*${origin.slice(dot)}`)
  return wildcards.slice(-MAX_WILDCARD_LABELS)
}

/** Whether a wildcard over an origin stands on more than the public suffix of its host. */
export function reaches(wildcard: string, origin: string): boolean {
  const suffix = publicSuffixOf(hostnameOf(origin))
  return suffix !== undefined && hostnameOf(wildcard).length > suffix.length + '*.'.length
}
