import {
  DEFAULT_PORTS,
  isCanonicalHost,
  isPort,
  isUsableScheme,
  isWebScheme,
  splitAuthority,
} from './host.ts'
import type { Problem } from './problem.ts'
import { isPublicSuffix } from './public-suffix.ts'

/** An entry of a list of domains. */
export interface OriginEntry {
  /** The entry as written, which is its canonical spelling. */
  readonly text: string
  /** For `https://*.example.org:8443` what every admitted origin begins and ends with. */
  readonly wildcard?: { readonly scheme: string; readonly suffix: string } | undefined
}

const MAX_LENGTH = 512

/**
 * The canonical form of an origin that a request names (RFC 6454 6.2): `https://example.org:8443`, or `null`. Host case
 * and an explicit default port are put right; any other text that is not a serialised origin gives `undefined`.
 */
export function parseOrigin(text: string): string | undefined {
  if (text === 'null') return text
  if (text.length > MAX_LENGTH) return undefined
  const split = text.indexOf('://')
  const scheme = text.slice(0, Math.max(split, 0)).toLowerCase()
  if (!isUsableScheme(scheme)) return undefined
  const { host, port } = splitAuthority(text.slice(split + 3).toLowerCase())
  if (port !== undefined && !isPort(port)) return undefined
  if (!isCanonicalHost(host)) return undefined
  if (!isWebScheme(scheme) && text !== text.toLowerCase()) return undefined
  return `${scheme}://${host}${port === undefined || port === DEFAULT_PORTS[scheme] ? '' : `:${port}`}`
}

/**
 * Reads an entry of a policy: an origin in canonical spelling, `null`, or `https://*.example.org`, whose wildcard is the
 * whole leftmost label and does not stand directly on a public suffix.
 */
export function parseOriginEntry(text: string): OriginEntry | Problem {
  const wildcardAt = text.indexOf('://*.')
  if (wildcardAt !== -1) return parseWildcard(text, wildcardAt)
  if (text.includes('*')) return { problem: 'a wildcard must be the whole leftmost label' }
  const origin = parseOrigin(text)
  if (origin === text) return { text }
  return { problem: 'is not an origin in canonical spelling', corrected: origin ?? guessOrigin(text) }
}

function parseWildcard(text: string, wildcardAt: number): OriginEntry | Problem {
  const scheme = text.slice(0, wildcardAt)
  const rest = text.slice(wildcardAt + 5)
  if (rest.includes('*')) return { problem: 'a wildcard must be the whole leftmost label' }
  const base = parseOriginEntry(`${scheme}://${rest}`)
  if ('problem' in base) {
    const corrected = base.corrected?.replace('://', '://*.')
    return { problem: base.problem, corrected }
  }
  const { host } = splitAuthority(rest)
  if (!isWebScheme(scheme) || host.startsWith('[') || /^[0-9.]+$/.test(host)) {
    return { problem: 'a wildcard needs a name of http or https' }
  }
  if (isPublicSuffix(host)) return { problem: 'a wildcard must not stand on a public suffix' }
  return { text, wildcard: { scheme, suffix: rest } }
}

/** What was probably meant by a URL, a bare host or a name in other letters. */
function guessOrigin(text: string): string | undefined {
  const candidate = text.includes('://') ? text : `https://${text}`
  if (/[\s\\@]/.test(candidate) || !URL.canParse(candidate)) return undefined
  const { origin } = new URL(candidate)
  return origin !== 'null' && parseOrigin(origin) === origin ? origin : undefined
}

/**
 * The texts of all entries that could admit a canonical origin: itself, then one wildcard for each parent of at least two
 * labels. A store looks apps up by these.
 */
export function originIndexKeys(origin: string): readonly string[] {
  const keys = [origin]
  const start = origin.indexOf('://') + 3
  const scheme = origin.slice(0, start)
  if (start === 2 || origin.startsWith('[', start)) return keys
  let dot = origin.indexOf('.', start)
  while (dot !== -1) {
    const parent = origin.slice(dot + 1)
    if (parent.includes('.')) keys.push(`${scheme}*.${parent}`)
    dot = origin.indexOf('.', dot + 1)
  }
  return keys
}
