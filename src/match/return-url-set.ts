import type { ReturnUrl, ReturnUrlEntry } from './return-url.ts'

/** Any number of return URLs. */
export interface ReturnUrlSet {
  /** How many entries were given. */
  readonly size: number
  /** The text of an entry that admits this URL: an exact one before a prefix, a longer prefix before a shorter one. */
  find(url: ReturnUrl): string | undefined
}

/** The entries of one origin. */
interface Place {
  find(path: string, query: string): string | undefined
}

const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::[0-9]+)?$/
/** So many entries are sooner asked one after the other than by the segments of the path. */
const FEW = 8

/**
 * Makes a set whose look-ups cost one hash look-up for the origin and, where the origin has many entries, one for each segment
 * of the path, however many entries the set holds.
 */
export function createReturnUrlSet(entries: readonly ReturnUrlEntry[]): ReturnUrlSet {
  const byOrigin = new Map<string, ReturnUrlEntry[]>()
  for (const entry of entries) {
    const own = byOrigin.get(entry.origin)
    if (own === undefined) byOrigin.set(entry.origin, [entry])
    else own.push(entry)
  }
  const shared = new Map<string, string>()
  const places = new Map<string, Place>()
  for (const [origin, own] of byOrigin) {
    const place = own.length > FEW ? new Tree(own) : chain(own, shared)
    if (place !== undefined) places.set(origin, place)
  }
  const anyPort = entries.some(({ origin }) => origin.endsWith(':*'))
  return {
    size: entries.length,
    find({ origin, path, query }) {
      const found = places.get(origin)?.find(path, query)
      if (found !== undefined || !anyPort) return found
      const loopback = LOOPBACK.exec(origin)?.[1]
      return loopback === undefined ? undefined : places.get(`${loopback}:*`)?.find(path, query)
    },
  }
}

/** One entry and those after it. */
class Link implements Place {
  readonly #exact: boolean
  readonly #path: string
  readonly #query: string
  readonly #text: string
  readonly #next: Link | undefined

  constructor({ kind, path, query, text }: ReturnUrlEntry, next: Link | undefined) {
    this.#exact = kind === 'exact'
    this.#path = path
    this.#query = query
    this.#text = text
    this.#next = next
  }

  find(path: string, query: string): string | undefined {
    const admits = this.#exact ? path === this.#path && query === this.#query : isBelow(path, this.#path)
    return admits ? this.#text : this.#next?.find(path, query)
  }
}

/** Exact entries, then prefixes, the longest first. Many origins share one string for the same path: it stays in the caches. */
function chain(entries: readonly ReturnUrlEntry[], shared: Map<string, string>): Link | undefined {
  const rank = ({ kind, path }: ReturnUrlEntry): number => (kind === 'exact' ? Infinity : path.length)
  return entries
    .toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))
    .reduce<Link | undefined>((next, entry) => {
      const path = shared.get(entry.path) ?? entry.path
      shared.set(path, path)
      return new Link({ ...entry, path }, next)
    }, undefined)
}

/** Whether a path is a prefix, or goes on after it with a new segment. */
function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  return prefix.endsWith('/') || path.length === prefix.length || path.startsWith('/', prefix.length)
}

/** One segment of the paths of prefixes. */
interface Segment {
  readonly next: Map<string, Segment>
  /** The prefix that ends with this segment: it admits the path up to here and everything below. */
  here?: string
  /** The prefix that ends with the slash after this segment: it admits only what goes on with that slash. */
  below?: string
}

/** Many entries. */
class Tree implements Place {
  readonly #exact = new Map<string, string>()
  readonly #root: Segment = { next: new Map() }

  constructor(entries: readonly ReturnUrlEntry[]) {
    for (const { kind, text, path, query } of entries) {
      if (kind === 'exact') this.#exact.set(path + query, text)
      else this.#add(path, text)
    }
  }

  #add(path: string, text: string): void {
    const endsWithSlash = path.endsWith('/')
    let segment = this.#root
    for (const name of (endsWithSlash ? path.slice(0, -1) : path).split('/')) {
      const known = segment.next.get(name) ?? { next: new Map() }
      segment.next.set(name, known)
      segment = known
    }
    if (endsWithSlash) segment.below = text
    else segment.here = text
  }

  find(path: string, query: string): string | undefined {
    return (this.#exact.size > 0 ? this.#exact.get(path + query) : undefined) ?? this.#longest(path)
  }

  #longest(path: string): string | undefined {
    const names = path.split('/')
    let segment: Segment | undefined = this.#root
    let found: string | undefined
    for (const [index, name] of names.entries()) {
      segment = segment.next.get(name)
      if (segment === undefined) return found
      found = segment.here ?? found
      if (index < names.length - 1) found = segment.below ?? found
    }
    return found
  }
}
