import * as z from 'zod/mini'
import { readEntries, type EntryList, type ReadEntry } from '../match/entries.ts'
import { isProblem, type Problem } from '../match/problem.ts'
import { LIST_NAME_PATTERN, NAME_RULE } from '../names.ts'

/* Building blocks of sections. They are functions because a schema is built when the first policy is read. */

// oxlint-disable-next-line typescript/explicit-module-boundary-types -- zod knows the type
export const mode = () => z.enum(['enforce', 'report', 'off'])

/** A list of entries. A parser of `match/` refuses each entry or returns its canonical form. */
export function readBy<Written, Entry>(
  read: (value: Written) => Problem | ReadEntry<Entry>,
): (values: Written[], payload: z.core.ParsePayload) => EntryList<Entry> {
  return (values, { issues }) =>
    readEntries(values, read, (index, { problem, ...more }) =>
      issues.push({ code: 'custom', input: values, message: problem, path: [index], params: more }),
    )
}

/** Reads an entry that is stored as its canonical text. */
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

/** The names of named lists in the store. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- zod knows the type
export const listNames = () =>
  z.pipe(
    z.array(z.string().check(z.regex(LIST_NAME_PATTERN, NAME_RULE))),
    z.transform(readBy((name: string) => ({ entry: name, written: name, meaning: name }))),
  )
