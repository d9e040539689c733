import { isProblem, type Problem } from './problem.ts'

/** Why a text is refused, and the entries that it was probably meant to be, all of them together. */
export type Guess = readonly [problem: string, ...meant: string[]]

/** More entries than this are not spelled out: the reason is enough, and one text must not cause much work. */
export const MOST_MEANT = 4

/** A text without what files and programs have around it: blanks, a character that cannot be seen, a pair of quotes. */
export function unquoted(written: string): string {
  const text = written.trim().replaceAll(/^\p{Cf}|\p{Cf}$/gu, '')
  const quote = text.at(0) ?? ''
  const isQuoted = text.length > 1 && `"'\``.includes(quote) && text.endsWith(quote)
  return isQuoted ? text.slice(1, -1).trim() : text
}

/** What stands between separators. Of more than {@link MOST_MEANT} parts not all. */
export function partsOf(text: string): string[] {
  return text.split(/[\s,;|]+/, MOST_MEANT + 2).filter((part) => part !== '')
}

/**
 * Why a text is refused, with what would have been taken: one entry as the corrected form, several in the reason. Where one of
 * them would not be taken, the reason alone: a suggestion leaves nothing out.
 *
 * @param nearest Reads an entry that was meant, as strictly as any other, and gives the text that is taken.
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

/** The text that is taken, or that would have been. */
export function takenText(read: Problem | { readonly text: string }): string | undefined {
  return isProblem(read) ? read.corrected : read.text
}
