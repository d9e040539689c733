import type { ReturnUrl, ReturnUrlEntry } from './return-url.ts'

/** Any number of return URLs. */
export interface ReturnUrlSet {
  /** How many entries were given. */
  readonly size: number
  /** The text of an entry that admits this URL: an exact one before a prefix, a longer prefix before a shorter one. */
  find(url: ReturnUrl): string | undefined
}

/** One segment of the paths of prefixes. */
interface Segment {
  readonly next: Map<string, Segment>
  /** The prefix that ends with this segment: it admits the path up to here and everything below. */
  here?: string
  /** The prefix that ends with the slash after this segment: it admits only what goes on with that slash. */
  below?: string
}

const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::[0-9]+)?$/

/** Makes a set whose look-ups cost one hash look-up per segment of the URL, however many entries it holds. */
export function createReturnUrlSet(entries: readonly ReturnUrlEntry[]): ReturnUrlSet {
  const exact = new Set<string>()
  const prefixes = new Map<string, Segment>()
  for (const { kind, text, origin, path } of entries) {
    if (kind === 'exact') exact.add(text)
    else addPrefix(prefixes, origin, path, text)
  }
  const anyPort = entries.some(({ origin }) => origin.endsWith(':*'))

  function findAt(origin: string, { path, query }: ReturnUrl): string | undefined {
    const whole = origin + path + query
    return exact.has(whole) ? whole : longestPrefix(prefixes.get(origin), path)
  }

  return {
    size: entries.length,
    find(url) {
      const found = findAt(url.origin, url)
      if (found !== undefined || !anyPort) return found
      const loopback = LOOPBACK.exec(url.origin)?.[1]
      return loopback === undefined ? undefined : findAt(`${loopback}:*`, url)
    },
  }
}

function addPrefix(prefixes: Map<string, Segment>, origin: string, path: string, text: string): void {
  const endsWithSlash = path.endsWith('/')
  let segment = ensure(prefixes, origin)
  for (const name of (endsWithSlash ? path.slice(0, -1) : path).split('/'))
    segment = ensure(segment.next, name)
  if (endsWithSlash) segment.below = text
  else segment.here = text
}

function ensure(segments: Map<string, Segment>, name: string): Segment {
  const known = segments.get(name)
  if (known !== undefined) return known
  const made: Segment = { next: new Map() }
  segments.set(name, made)
  return made
}

function longestPrefix(root: Segment | undefined, path: string): string | undefined {
  const names = path.split('/')
  let segment = root
  let found: string | undefined
  for (const [index, name] of names.entries()) {
    segment = segment?.next.get(name)
    if (segment === undefined) return found
    found = segment.here ?? found
    if (index < names.length - 1) found = segment.below ?? found
  }
  return found
}
