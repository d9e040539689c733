import { isProblem, type Problem } from './problem.ts'

/** What was probably meant by a text that is refused. */
export interface Guess {
  /** Why it is refused, as a phrase. */
  readonly problem: string
  /** Texts that were probably meant. Whether they would be taken is still to be asked. */
  readonly meant: readonly string[]
  /** Whether the text stands for all of them together. Default: for one of them. */
  readonly all?: boolean
}

/** A text without the blanks and the pair of quotes that files and programs have around it. */
export function unquoted(written: string): string {
  const text = written.trim()
  const quote = text.at(0) ?? ''
  const isQuoted = text.length > 1 && `"'\``.includes(quote) && text.endsWith(quote)
  return isQuoted ? text.slice(1, -1).trim() : text
}

/** More texts than this are told by the first three and the last. */
const MOST_TOLD = 16

/**
 * Why a text is refused, with what would have been taken: one text as the corrected form; several, of which each needs an
 * entry of its own or of which one must be chosen, in the reason.
 *
 * @param read Reads a text that was meant, as strictly as any other.
 */
export function suggestion(
  { problem, meant, all = false }: Guess,
  read: (text: string) => Problem | { readonly text: string },
): Problem {
  const taken = [...new Set(meant.flatMap((text) => takenText(read(text))))]
  const [only] = taken
  if (only === undefined) return { problem }
  if (taken.length === 1) return { problem, corrected: only }
  return { problem: `${problem}: write ${listed(taken, all)}` }
}

function takenText(read: Problem | { readonly text: string }): string[] {
  if (!isProblem(read)) return [read.text]
  return read.corrected === undefined ? [] : [read.corrected]
}

function listed(texts: readonly string[], all: boolean): string {
  const quoted = texts.map((text) => `\`${text}\``)
  const last = quoted.pop()
  if (quoted.length >= MOST_TOLD)
    return `${texts.length} entries, from ${quoted.slice(0, 3).join(', ')} to ${last}`
  return all ? `${quoted.join(', ')} and ${last} as separate entries` : `${quoted.join(', ')} or ${last}`
}
