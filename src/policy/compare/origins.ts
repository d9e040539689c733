import { createOriginSet, type OriginSet } from '../../match/origin-set.ts'
import { parseOrigin, type OriginEntry } from '../../match/origin.ts'

/** The domains of a section: the entries, and sets of them. */
export interface Domains {
  readonly entries: readonly OriginEntry[]
  readonly set: OriginSet
  /** Only the wildcards. */
  readonly wildcards: OriginSet
}

export function domainsOf(entries: readonly OriginEntry[]): Domains {
  const wildcards = entries.filter(({ kind }) => kind === 'wildcard')
  return { entries, set: createOriginSet(entries), wildcards: createOriginSet(wildcards) }
}

/** The smallest origin that `to` admits and `from` does not, in steps. */
export function* originOutside(from: Domains, to: Domains): Generator<void, string | undefined> {
  let smallest: string | undefined
  for (const [index, entry] of to.entries.entries()) {
    const found = yield* outside(from, entry)
    if (found !== undefined && (smallest === undefined || isSmaller(found, smallest))) smallest = found
    if (index % 256 === 255) yield
  }
  return smallest
}

/** An origin that both admit, in steps. */
export function* originInBoth(one: Domains, other: Domains): Generator<void, string | undefined> {
  // Two wildcards are nested or disjoint, so an origin below the narrower one is enough.
  for (const [{ entries }, { set }] of [
    [one, other],
    [other, one],
  ] as const) {
    for (const [index, entry] of entries.entries()) {
      const sample = entry.kind === 'exact' ? entry.text : yield* outside(EMPTY, entry)
      if (sample !== undefined && set.find(sample) !== undefined) return sample
      if (index % 256 === 255) yield
    }
  }
  return undefined
}

const EMPTY = domainsOf([])

/** An origin that a set does not admit. */
export function strangerTo({ set }: Domains): string {
  // A wildcard cannot cover a public suffix, so each of these origins needs an entry of its own, and the loop ends.
  for (let length = 1; ; length += 1) {
    for (const label of labels(length)) {
      const origin = `https://${label}.example`
      if (isOrigin(origin) && set.find(origin) === undefined) return origin
    }
  }
}

function isSmaller(one: string, other: string): boolean {
  return one.length === other.length ? one < other : one.length < other.length
}

const WILDCARD = '*.'
const LONGEST_NAME = 253

/**
 * The smallest origin that an entry admits and the domains do not. Below a wildcard, tries names, the shortest first. If a
 * wildcard of the domains covers the parent, it covers all of them; otherwise only exact entries cover names of one label.
 */
function* outside(
  { set, wildcards }: Domains,
  { kind, text }: OriginEntry,
): Generator<void, string | undefined> {
  if (kind === 'exact') return set.find(text) === undefined ? text : undefined
  const own = createOriginSet([{ kind, text }])
  const start = text.indexOf(WILDCARD)
  const [before, after] = [text.slice(0, start), text.slice(start + 1)]
  const most = LONGEST_NAME - nameOf(after).length
  let tried = 0
  let isEmpty = true
  for (let length = 1; length <= most; length += 1) {
    for (const label of labels(length)) {
      const candidate = before + label + after
      tried += 1
      if (tried % 64 === 0) yield
      if (!isOrigin(candidate) || own.find(candidate) === undefined) continue
      isEmpty = false
      if (set.find(candidate) === undefined) return candidate
      if (wildcards.find(candidate) !== undefined && !label.includes('.')) return undefined
    }
    // If anyone can register names directly below the parent (`*.compute.example`), the wildcard admits nothing.
    if (isEmpty && length === 2) return undefined
  }
  return undefined
}

/** Removes the port: `.example.org`. */
function nameOf(after: string): string {
  const colon = after.indexOf(':')
  return colon === -1 ? after : after.slice(0, colon)
}

/** Letters come first, because all programs read a name of letters in the same way. */
const CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789_-.'

function* labels(length: number): Generator<string> {
  if (length === 0) yield ''
  else for (const first of CHARACTERS) for (const rest of labels(length - 1)) yield first + rest
}

function isOrigin(text: string): boolean {
  return parseOrigin(text) === text
}
