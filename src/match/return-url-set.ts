import type { ReturnUrl, ReturnUrlEntry } from './return-url.ts'

/** A set of return URLs. */
export interface ReturnUrlSet {
  /** The number of entries that were given. */
  readonly size: number
  /** About how many bytes of memory the set takes. */
  readonly bytes: number
  /**
   * Returns the text of an entry that admits the URL: an exact entry before a prefix, a longer prefix before a shorter one.
   */
  find(url: ReturnUrl): string | undefined
  /**
   * Returns the text of the exact entry with encoded slashes that equals the URL, byte for byte. Takes the result of
   * `parseExactUrl`.
   */
  findSlashed(url: ReturnUrl): string | undefined
}

/** Entries that share an origin and the first segments of their paths. */
interface Place {
  /**
   * `start` is the index of the next segment in `path`. It is larger than the length of `path` if there is no further
   * segment.
   */
  find(path: string, query: string, start: number): string | undefined
}

const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::[0-9]+)?$/
/** Up to this number of entries, comparing each is faster than looking up the segments of the path. */
const FEW = 8

// Measured by `npm run bench:store`, in bytes.
const ENTRY = 100
const ORIGIN = 100
const BRANCH = 425

/** What the places of one set share during construction. */
interface Making {
  /** Origins with the same path share one string, which then stays in the caches of the processor. */
  readonly paths: Map<string, string>
  branches: number
}

/**
 * Creates a set. A look-up costs one hash look-up for the origin, and one for each segment of the path while many entries
 * share the segments before it, regardless of the number of entries.
 */
export function createReturnUrlSet(entries: readonly ReturnUrlEntry[]): ReturnUrlSet {
  const byOrigin = new Map<string, ReturnUrlEntry[]>()
  /** Entries with encoded slashes, by their whole text, because programs disagree on the segments of their paths. */
  const slashed = new Map<string, string>()
  for (const entry of entries) {
    if (entry.encodedSlash) {
      slashed.set(entry.text, entry.text)
      continue
    }
    const own = byOrigin.get(entry.origin)
    if (own === undefined) byOrigin.set(entry.origin, [entry])
    else own.push(entry)
  }
  const making: Making = { paths: new Map(), branches: 0 }
  const places = new Map<string, Place>()
  for (const [origin, own] of byOrigin) {
    places.set(origin, placeOf(own, 0, making))
  }
  const characters = entries.reduce((sum, { text }) => sum + text.length, 0)
  const anyPort = entries.some(({ origin }) => origin.endsWith(':*'))
  return {
    size: entries.length,
    bytes: characters + ENTRY * entries.length + ORIGIN * places.size + BRANCH * making.branches,
    find({ origin, path, query }) {
      const found = places.get(origin)?.find(path, query, 0)
      if (found !== undefined || !anyPort) return found
      const loopback = LOOPBACK.exec(origin)?.[1]
      return loopback === undefined ? undefined : places.get(`${loopback}:*`)?.find(path, query, 0)
    },
    findSlashed({ href, origin, path, query }) {
      if (slashed.size === 0) return undefined
      const loopback = LOOPBACK.exec(origin)?.[1]
      return slashed.get(href) ?? slashed.get(`${loopback}:*${path}${query}`)
    },
  }
}

function placeOf(entries: readonly ReturnUrlEntry[], depth: number, making: Making): Place {
  return entries.length > FEW ? new Branch(entries, depth, making) : chain(entries, making)
}

/** A linked list of entries. */
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

/** A list of at least one entry: exact ones first, then prefixes, the longest first. */
function chain(entries: readonly ReturnUrlEntry[], { paths }: Making): Place {
  const rank = ({ kind, path }: ReturnUrlEntry): number => (kind === 'exact' ? Infinity : path.length)
  let first: Link | undefined
  for (const entry of entries.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
    const path = paths.get(entry.path) ?? entry.path
    paths.set(path, path)
    first = new Link({ ...entry, path }, first)
  }
  return first as Link
}

/** Whether a path equals a prefix, or continues after it with a new segment. */
function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  return prefix.endsWith('/') || path.length === prefix.length || path.startsWith('/', prefix.length)
}

/** Many entries, grouped by the next segment of their paths. */
class Branch implements Place {
  readonly #next = new Map<string, Place>()
  /** The exact entries whose paths end here, by their queries. */
  readonly #exact = new Map<string, string>()
  /** The prefix that ends here. It admits this path and all paths below it. */
  readonly #here: string | undefined
  /** The prefix that ends with the slash after this segment. It admits only paths that continue with that slash. */
  readonly #below: string | undefined

  constructor(entries: readonly ReturnUrlEntry[], depth: number, making: Making) {
    making.branches += 1
    const groups = new Map<string, ReturnUrlEntry[]>()
    for (const entry of entries) {
      const { kind, path, query, text } = entry
      const isFolder = kind === 'prefix' && path.endsWith('/')
      const names = (isFolder ? path.slice(0, -1) : path).split('/')
      const name = names[depth]
      const group = name === undefined ? undefined : groups.get(name)
      if (group !== undefined) group.push(entry)
      else if (name !== undefined) groups.set(name, [entry])
      else if (kind === 'exact') this.#exact.set(query, text)
      else if (isFolder) this.#below = text
      else this.#here = text
    }
    for (const [name, group] of groups) this.#next.set(name, placeOf(group, depth + 1, making))
  }

  find(path: string, query: string, start: number): string | undefined {
    if (start > path.length) return this.#exact.get(query) ?? this.#here
    const slash = path.indexOf('/', start)
    const end = slash === -1 ? path.length : slash
    return this.#next.get(path.slice(start, end))?.find(path, query, end + 1) ?? this.#below ?? this.#here
  }
}
