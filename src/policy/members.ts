import * as z from 'zod/mini'
import { readEntries, type EntryList, type ReadEntry } from '../match/entries.ts'
import { isProblem, type Problem } from '../match/problem.ts'
import { LIST_NAME_PATTERN, NAME_RULE } from '../names.ts'

/* The members that sections are made of. Functions: a schema is made when the first policy is read. */

// oxlint-disable-next-line typescript/explicit-module-boundary-types -- zod knows the type
export const mode = () => z.enum(['enforce', 'report', 'off'])

/** The entries of a list, each read by a parser of `match/`: refused, or in canonical form. */
export function readBy<Written, Entry>(
  read: (value: Written) => Problem | ReadEntry<Entry>,
): (values: Written[], payload: z.core.ParsePayload) => EntryList<Entry> {
  return (values, { issues }) =>
    readEntries(values, read, (index, { problem, ...more }) =>
      issues.push({ code: 'custom', input: values, message: problem, path: [index], params: more }),
    )
}

/** An entry that is kept as its canonical text. */
export function byText<Entry extends { readonly text: string }>(
  parse: (text: string) => Entry | Problem,
): (text: string) => Problem | ReadEntry<Entry> {
  return (text) => {
    const entry = parse(text)
    if (isProblem(entry)) return entry as Problem
    const { text: canonical } = entry
    return { entry, written: canonical, meaning: canonical }
  }
}

/** The names of lists of the store. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- zod knows the type
export const listNames = () =>
  z.pipe(
    z.array(z.string().check(z.regex(LIST_NAME_PATTERN, NAME_RULE))),
    z.transform(readBy((name: string) => ({ entry: name, written: name, meaning: name }))),
  )
