import { isProblem, type Problem } from './problem.ts'

/**
 * Why a text is refused, and the entries that it was probably meant to be. If there are several, it was meant to be all of
 * them.
 */
export type Guess = readonly [problem: string, ...meant: string[]]

/** A longer guess is not listed, because the reason is enough and one text must not cause much work. */
export const MOST_MEANT = 4

/** Removes what files and programs put around a text: white space, one invisible character at each end, a pair of quotes. */
export function unquoted(written: string): string {
  const text = written.trim().replaceAll(/^\p{Cf}|\p{Cf}$/gu, '')
  const quote = text.at(0) ?? ''
  const isQuoted = text.length > 1 && `"'\``.includes(quote) && text.endsWith(quote)
  return isQuoted ? text.slice(1, -1).trim() : text
}

/**
 * The parts between separators. Stops after a few parts, but always returns more than {@link MOST_MEANT} if there are more.
 */
export function partsOf(text: string): string[] {
  return text.split(/[\s,;|]+/, MOST_MEANT + 2).filter((part) => part !== '')
}

/**
 * Why a text is refused, and what to write instead: one entry as the corrected form, several entries in the reason. If one of
 * them would be refused too, returns only the reason, because a suggestion must be complete.
 *
 * @param nearest Parses a suggested entry as strictly as any other, and returns the text that would be accepted.
 */
export function suggestion(
  [problem, ...meant]: Guess,
  nearest: (text: string) => string | undefined,
): Problem {
  if (meant.length > MOST_MEANT) return { problem }
  const taken = new Set(meant.map(nearest))
  const [only] = taken
  if (only === undefined || taken.has(undefined)) return { problem }
  if (taken.size === 1) return { problem, corrected: only }
  const listed = [...taken].map((text) => `\`${text}\``)
  const first = listed.slice(0, -1).join(', ')
  return { problem: `${problem}: write ${first} and ${listed.at(-1)} as separate entries` }
}

/** The accepted text, or the corrected form of a refused one. */
export function takenText(read: Problem | { readonly text: string }): string | undefined {
  return isProblem(read) ? read.corrected : read.text
}
