import { createOriginSet, type OriginSet } from '../../match/origin-set.ts'
import { parseOrigin, type OriginEntry } from '../../match/origin.ts'

/** The domains of a section: the entries, and the sets that guards ask. */
export interface Domains {
  readonly entries: readonly OriginEntry[]
  readonly set: OriginSet
  /** The wildcards alone. */
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

/** An origin that both admit. */
export function* originInBoth(one: Domains, other: Domains): Generator<void, string | undefined> {
  // Of two wildcards one contains the other, or they have nothing in common; so an origin of the smaller one tells.
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
  // A wildcard never stands on a public suffix, so that each of these takes an entry of its own.
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
 * The smallest origin that an entry admits and the domains do not. Below a wildcard, names are tried, the shortest first: a
 * wildcard of the domains that stands no lower takes all of them, and otherwise only exact entries take names of one label.
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
    // Everybody can register names right below this one (`*.compute.example`), so that the wildcard reaches no name.
    if (isEmpty && length === 2) return undefined
  }
  return undefined
}

/** Without the port: `.example.org`. */
function nameOf(after: string): string {
  const colon = after.indexOf(':')
  return colon === -1 ? after : after.slice(0, colon)
}

/** Letters first: a name of letters is read alike by everybody. */
const CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789_-.'

function* labels(length: number): Generator<string> {
  if (length === 0) yield ''
  else for (const first of CHARACTERS) for (const rest of labels(length - 1)) yield first + rest
}

function isOrigin(text: string): boolean {
  return parseOrigin(text) === text
}
