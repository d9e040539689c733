import { suggestion, takenText } from './guess.ts'
import { hostnameOf, isUsableScheme, isWebScheme, readOrigin } from './host.ts'
import { withCanonicalHost, withLowerScheme } from './idn.ts'
import { guessOrigin, NO_ORIGIN } from './origin-guess.ts'
import { isProblem, type Problem } from './problem.ts'
import { publicSuffixOf } from './public-suffix.ts'

/** An entry of a list of domains. */
export interface OriginEntry {
  /** The entry in canonical form. */
  readonly text: string
  /** A wildcard admits every subdomain of the host after its `*.`, at any depth. */
  readonly kind: 'exact' | 'wildcard'
}

const MAX_LENGTH = 512
const PRINTABLE = /^[!-~]*$/
const WILDCARD = '://*.'
// A store looks up each wildcard that could admit an origin. The bound is needed because the caller chooses the number of
// labels.
const MAX_WILDCARD_LABELS = 10

/**
 * Returns the canonical form of an origin from a request (RFC 6454 6.2): `https://example.org:8443`, or `null`. Converts the
 * scheme and host of http(s) to lower case and drops an explicit default port. Returns `undefined` for any other text that is
 * not a serialised origin.
 */
export function parseOrigin(text: string): string | undefined {
  if (text === 'null') return text
  // Checked before case folding, which would convert the Kelvin sign to a plain k.
  if (text.length > MAX_LENGTH || !PRINTABLE.test(text)) return undefined
  const split = text.indexOf('://')
  const scheme = text.slice(0, Math.max(split, 0)).toLowerCase()
  if (!isUsableScheme(scheme)) return undefined
  if (!isWebScheme(scheme) && !text.startsWith(scheme)) return undefined
  const read = readOrigin(scheme, text.slice(split + 3))
  return isProblem(read) ? undefined : read.origin
}

/**
 * Reads an entry of a policy: an origin, `null`, or `https://*.example.org`. Scheme and host may be in any case, a default
 * port may be written, and the host may be in Unicode, as {@link withCanonicalHost} accepts it. `text` of the result is the
 * canonical form. A wildcard must be the whole leftmost label of an http(s) host. At most ten labels may follow it, and they
 * must be more than a public suffix.
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
 * Returns the texts of all entries that could admit a canonical origin, the narrowest first: the origin itself, then a
 * wildcard for each parent longer than the public suffix of the host, at most ten. Stores look up apps by these keys.
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

/** Whether a wildcard for an origin is below the public suffix of its host. */
export function reaches(wildcard: string, origin: string): boolean {
  const suffix = publicSuffixOf(hostnameOf(origin))
  return suffix !== undefined && hostnameOf(wildcard).length > suffix.length + '*.'.length
}
