import { reaches, wildcardsOver, type OriginEntry } from './origin.ts'

/** A set of origins and wildcards. */
export interface OriginSet {
  /** The number of entries that were given. */
  readonly size: number
  /**
   * Whether the text equals an entry that is not a wildcard. The text need not be parsed, because all entries are canonical.
   */
  holds(text: string): boolean
  /** Returns the text of the narrowest entry that admits an origin returned by `parseOrigin`. */
  find(origin: string): string | undefined
}

/** Creates a set. A look-up costs a few hash look-ups, regardless of the number of entries. */
export function createOriginSet(entries: readonly OriginEntry[]): OriginSet {
  const exact = textsOf(entries, 'exact')
  const wildcards = textsOf(entries, 'wildcard')
  return {
    size: entries.length,
    holds: (text) => exact.has(text),
    find(origin) {
      if (exact.has(origin)) return origin
      if (wildcards.size === 0) return undefined
      const narrowest = wildcardsOver(origin).find((wildcard) => wildcards.has(wildcard))
      // If the narrowest wildcard spans a public suffix, so do the wider ones.
      return narrowest !== undefined && reaches(narrowest, origin) ? narrowest : undefined
    },
  }
}

function textsOf(entries: readonly OriginEntry[], kind: OriginEntry['kind']): ReadonlySet<string> {
  return new Set(entries.filter((entry) => entry.kind === kind).map(({ text }) => text))
}
