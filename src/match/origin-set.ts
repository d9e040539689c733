import { reaches, wildcardsOver, type OriginEntry } from './origin.ts'

/** Any number of origins and wildcards. */
export interface OriginSet {
  /** How many entries were given. */
  readonly size: number
  /** Whether the text itself is an entry and no wildcard. It needs no parsing: only canonical origins are entries. */
  holds(text: string): boolean
  /** The text of the entry that admits this origin (of several the narrowest). Takes what `parseOrigin` returns. */
  find(origin: string): string | undefined
}

/** Makes a set whose look-ups cost a few hash look-ups, however many entries it holds. */
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
      // If this one reaches across a public suffix, so do those that are wider.
      return narrowest !== undefined && reaches(narrowest, origin) ? narrowest : undefined
    },
  }
}

function textsOf(entries: readonly OriginEntry[], kind: OriginEntry['kind']): ReadonlySet<string> {
  return new Set(entries.filter((entry) => entry.kind === kind).map(({ text }) => text))
}
