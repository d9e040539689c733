import type { ReturnUrl, ReturnUrlEntry } from './return-url.ts'

/** Any number of return URLs. */
export interface ReturnUrlSet {
  /** How many entries were given. */
  readonly size: number
  /** About how many bytes of memory it takes. */
  readonly bytes: number
  /** The text of an entry that admits this URL: an exact one before a prefix, a longer prefix before a shorter one. */
  find(url: ReturnUrl): string | undefined
  /** The text of the exact entry with encoded slashes that is the same, byte for byte. Takes what `parseExactUrl` reads. */
  findSlashed(url: ReturnUrl): string | undefined
}

/** Entries that share an origin and the first segments of their paths. */
interface Place {
  /** `start` is where the path goes on after these segments; more than its length when it does not. */
  find(path: string, query: string, start: number): string | undefined
}

const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::[0-9]+)?$/
/** So many entries are sooner asked one after the other than by the segments of the path. */
const FEW = 8

// Measured by `npm run bench:store`, in bytes.
const ENTRY = 100
const ORIGIN = 100
const BRANCH = 425

/** What the places of one set have in common while they are made. */
interface Making {
  /** Many origins share one string for the same path: it stays in the caches. */
  readonly paths: Map<string, string>
  branches: number
}

/**
 * Makes a set whose look-ups cost one hash look-up for the origin and, as long as many entries share the segments before, one
 * for each segment of the path, however many entries the set holds.
 */
export function createReturnUrlSet(entries: readonly ReturnUrlEntry[]): ReturnUrlSet {
  const byOrigin = new Map<string, ReturnUrlEntry[]>()
  /** Entries with encoded slashes, by their whole text: their paths have no segments that all programs agree on. */
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

/** At least one entry: exact ones, then prefixes, the longest first. */
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

/** Whether a path is a prefix, or goes on after it with a new segment. */
function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  return prefix.endsWith('/') || path.length === prefix.length || path.startsWith('/', prefix.length)
}

/** Many entries, parted by the next segment of their paths. */
class Branch implements Place {
  readonly #next = new Map<string, Place>()
  /** By their queries, the exact entries whose paths end here. */
  readonly #exact = new Map<string, string>()
  /** The prefix that ends here: it admits the path up to here and everything below. */
  readonly #here: string | undefined
  /** The prefix that ends with the slash after this: it admits only what goes on with that slash. */
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
