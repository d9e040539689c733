import { hostnameOf, isWebScheme } from './host.ts'
import type { IpAddress, IpRange } from './ip.ts'
import type { OriginEntry } from './origin.ts'
import { pathProblem } from './percent-encoding.ts'
import type { ReturnUrl, ReturnUrlEntry } from './return-url.ts'

/** The parts that can differ from an entry, with their distance. Each distance is larger than the sum of those after it. */
const DISTANCES = {
  family: 512,
  host: 256,
  network: 128,
  subdomain: 64,
  scheme: 32,
  port: 16,
  path: 8,
  exact: 4,
  query: 2,
} as const

/**
 * A part that differs from an entry. `subdomain`: one host is below the other. `exact`: the URL continues below an exact
 * entry. `family` and `network` are parts of an address.
 */
export type DifferingPart = keyof typeof DISTANCES

/** The comparison with one entry of a policy. */
export interface EntryComparison {
  /** The entry, as the policy contains it. */
  readonly entry: string | { readonly exact: string }
  /** Empty if the entry admits the value. */
  readonly differsIn: readonly DifferingPart[]
  /** One line: ``differs in port: `8443`, the entry has `443` ``. */
  readonly text: string
}

interface Difference {
  readonly part: DifferingPart
  readonly text: string
}

/** The differences from an entry, and a likeness that ranks entries with the same differences. */
type Compared = readonly [differences: readonly Difference[], likeness: number]

/** The number of entries in an explanation. */
const MOST = 3

/** The entries nearest to a canonical origin, the nearest first. */
export function nearestDomains(origin: string, entries: readonly OriginEntry[]): EntryComparison[] {
  const given = partsOf(origin)
  return nearest(entries, textOf, ({ text, kind }) => {
    const wildcard = kind === 'wildcard'
    return compareOrigins(given, partsOf(wildcard ? text.replace('://*.', '://') : text), wildcard)
  })
}

function textOf({ text }: { readonly text: string }): string {
  return text
}

/** The entries nearest to a return URL, the nearest first. */
export function nearestReturnUrls(url: ReturnUrl, entries: readonly ReturnUrlEntry[]): EntryComparison[] {
  const given = partsOf(url.origin)
  const written = ({ kind, text }: ReturnUrlEntry): EntryComparison['entry'] =>
    kind === 'exact' ? { exact: text } : text
  return nearest(entries, written, (entry) => {
    const [differences, likeness] = compareOrigins(given, partsOf(entry.origin), false)
    const path = comparePaths(url, entry)
    return [[...differences, ...path], likeness + shared(url.path, entry.path)]
  })
}

/** The ranges nearest to an address, the nearest first. */
export function nearestRanges(address: IpAddress, entries: readonly IpRange[]): EntryComparison[] {
  return nearest(entries, textOf, (range) => {
    if (range.version !== address.version) {
      return [
        [{ part: 'family', text: `family: IPv${address.version}, the entry is IPv${range.version}` }],
        0,
      ]
    }
    const bits = Math.min(sharedBits(address.words, range.first), range.prefix)
    const said = `network: ${bits} of the ${range.prefix} bits of the entry are the same`
    return [bits === range.prefix ? [] : [{ part: 'network', text: said }], bits - range.prefix]
  })
}

function nearest<Entry>(
  entries: readonly Entry[],
  written: (entry: Entry) => EntryComparison['entry'],
  compare: (entry: Entry) => Compared,
): EntryComparison[] {
  const compared = entries.map((one) => {
    const [differences, likeness] = compare(one)
    const distance = differences.reduce((sum, { part }) => sum + DISTANCES[part], 0)
    return { entry: written(one), differences, likeness, distance }
  })
  compared.sort((one, other) => one.distance - other.distance || other.likeness - one.likeness)
  return compared.slice(0, MOST).map(({ entry, differences }) => ({
    entry,
    differsIn: differences.map(({ part }) => part),
    text:
      differences.length === 0
        ? 'matches'
        : `differs in ${differences.map(({ text }) => text).join('; in ')}`,
  }))
}

interface OriginParts {
  readonly scheme: string
  /** Empty for a scheme without authority. */
  readonly hostname: string
  /** `*` means any port. The default port is written out. */
  readonly port: string
  readonly defaultPort: boolean
}

function partsOf(origin: string): OriginParts {
  if (origin === 'null') return { scheme: 'null', hostname: 'null', port: '', defaultPort: true }
  const scheme = origin.slice(0, origin.indexOf(':'))
  // `myapp:///x` and `myapp:/x` are different origins, though neither has a host.
  if (origin.endsWith('://')) return { scheme, hostname: '//', port: '', defaultPort: true }
  if (!origin.includes('://')) return { scheme, hostname: '', port: '', defaultPort: true }
  const hostname = hostnameOf(origin)
  const port = origin.slice(scheme.length + 3 + hostname.length + 1)
  const implied = isWebScheme(scheme) ? (scheme === 'https' ? '443' : '80') : ''
  return { scheme, hostname, port: port === '' ? implied : port, defaultPort: port === '' }
}

function compareOrigins(given: OriginParts, entry: OriginParts, wildcard: boolean): Compared {
  const differences: Difference[] = []
  const differ = (part: DifferingPart, one: string, other: string): void => {
    differences.push({ part, text: `${part}: ${quoted(one)}, the entry has ${quoted(other)}` })
  }
  if (given.scheme !== entry.scheme) differ('scheme', given.scheme, entry.scheme)
  const host = compareHosts(given.hostname, entry.hostname, wildcard)
  if (host !== undefined) differ(host, given.hostname, (wildcard ? '*.' : '') + entry.hostname)
  // If both ports are the default, they differ only because the schemes do.
  const bothDefault = given.defaultPort && entry.defaultPort
  if (given.port !== entry.port && entry.port !== '*' && !bothDefault) differ('port', given.port, entry.port)
  return [differences, shared(backwards(given.hostname), backwards(entry.hostname))]
}

function compareHosts(
  given: string,
  entry: string,
  wildcard: boolean,
): Extract<DifferingPart, 'host' | 'subdomain'> | undefined {
  const below = entry !== '' && given.endsWith(`.${entry}`)
  if (wildcard ? below : given === entry) return undefined
  return below || given === entry || (given !== '' && entry.endsWith(`.${given}`)) ? 'subdomain' : 'host'
}

function comparePaths(url: ReturnUrl, { kind, path, query }: ReturnUrlEntry): readonly Difference[] {
  if (isSlashed(url.path) && (kind === 'prefix' || url.path !== path)) {
    return [{ part: 'path', text: 'path: it has encoded slashes, which only the same exact entry admits' }]
  }
  const below = url.path.startsWith(path.endsWith('/') ? path : `${path}/`)
  if (kind === 'exact' && url.path === path) {
    if (url.query === query) return []
    return [{ part: 'query', text: `query: ${quoted(url.query)}, the entry has ${quoted(query)}` }]
  }
  if (kind === 'exact' && below) {
    return [{ part: 'exact', text: `path: the entry is exact, and the URL continues below ${quoted(path)}` }]
  }
  if (url.path === path || below) return []
  return [{ part: 'path', text: `path: ${describePaths(url.path, path)}` }]
}

/** Whether only an exact entry can admit the path. */
function isSlashed(path: string): boolean {
  return pathProblem(path) !== undefined
}

function describePaths(given: string, entry: string): string {
  if (`${given}/` === entry) return `the entry ends with a slash, ${quoted(given)} does not`
  if (given.startsWith(entry)) return `${quoted(given)} continues within a segment of ${quoted(entry)}`
  if (given.toLowerCase() === entry.toLowerCase())
    return `${quoted(given)} differs from ${quoted(entry)} in upper and lower case`
  return `${quoted(given)}, the entry has ${quoted(entry)}`
}

const LONGEST = 80

function quoted(text: string): string {
  if (text === '') return 'none'
  return `\`${text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}\``
}

/** The length of the common prefix of two texts. */
function shared(one: string, other: string): number {
  let count = 0
  while (count < one.length && one[count] === other[count]) count += 1
  return count
}

function backwards(text: string): string {
  return Array.from(text).toReversed().join('')
}

function sharedBits(one: readonly number[], other: readonly number[]): number {
  for (const [index, word] of one.entries()) {
    const different = (word ^ (other[index] ?? 0)) >>> 0
    if (different !== 0) return 32 * index + Math.clz32(different)
  }
  return 32 * one.length
}
