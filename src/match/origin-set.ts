import { originIndexKeys, type OriginEntry } from './origin.ts'

/** Any number of origins and wildcards. */
export interface OriginSet {
  /** How many entries were given. */
  readonly size: number
  /** The text of the entry that admits this origin (of several the narrowest). Takes what `parseOrigin` returns. */
  find(origin: string): string | undefined
}

/** Makes a set whose look-ups cost a few hash look-ups, however many entries it holds. */
export function createOriginSet(entries: readonly OriginEntry[]): OriginSet {
  const texts = new Set(entries.map(({ text }) => text))
  const hasWildcards = entries.some(({ wildcard }) => wildcard !== undefined)
  return {
    size: entries.length,
    find(origin) {
      if (texts.has(origin)) return origin
      return hasWildcards ? originIndexKeys(origin).find((key) => texts.has(key)) : undefined
    },
  }
}
