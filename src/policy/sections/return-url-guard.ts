import * as z from 'zod/mini'
import type { PolicyFinding } from '../../lint/finding.ts'
import { lintReturnUrls } from '../../lint/origins.ts'
import { isProblem } from '../../match/problem.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../../match/return-url-set.ts'
import { parseReturnUrlEntry, type ReturnUrlEntry, type ReturnUrlText } from '../../match/return-url.ts'
import { mode, readBy } from '../members.ts'
import { reused } from '../reused.ts'
import type { ListsOf, Protection, Section } from '../section.ts'

export interface ReturnUrlProtection extends Protection {
  /**
   * URLs that are admitted: a string is a prefix on a segment boundary, `{ exact }` is one URL. An empty list admits none.
   */
  readonly urls: readonly ReturnUrlText[]
}

export interface CompiledReturnUrls extends Protection {
  readonly urls: ReturnUrlSet
}

type Lists = ListsOf<'urls', ReturnUrlEntry>

const urlEntry = () => z.union([z.string(), z.strictObject({ exact: z.string() })])
const urls = () =>
  z.pipe(
    z.array(urlEntry()),
    z.transform(
      readBy((value: z.output<ReturnType<typeof urlEntry>>) => {
        const entry = parseReturnUrlEntry(value)
        if (isProblem(entry)) return entry
        const { kind, text } = entry
        return { entry, written: kind === 'exact' ? { exact: text } : text, meaning: `${kind} ${text}` }
      }),
    ),
  )

export const RETURN_URL_GUARD: Section<ReturnUrlProtection, CompiledReturnUrls, Lists> = {
  schema: () => z.strictObject({ mode: mode(), urls: z.prefault(urls(), []) }),
  compile: (section, { lists, before }) => ({
    mode: section.mode,
    urls: reused(before?.urls, section.urls, () => createReturnUrlSet(lists.urls.entries)),
  }),
  weigh: (_section, compiled) => compiled.urls.bytes,
}

export function lintReturnUrlGuard({ mode }: ReturnUrlProtection, read: Lists): PolicyFinding[] {
  return lintReturnUrls(mode, read.urls.placed)
}
