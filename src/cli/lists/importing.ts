import { createHash } from 'node:crypto'
import type { ListEntry } from '../../list/entry.ts'
import type { ListFormat } from '../../list/format.ts'
import { formatLine } from '../../list/lines.ts'
import { EXIT, InterruptedError, numberOf, textOf, type Invocation } from '../command.ts'
import { counted, show } from '../output.ts'
import { noteOf, withStore } from '../store.ts'
import { createProgress } from '../progress.ts'
import { contentOf, sourceAt, type Content, type ListSource } from './source.ts'

const ENDS: Readonly<Record<string, ListFormat>> = { csv: 'csv', json: 'json' }

export const importList = withStore(
  async (invocation, { store, place }) => {
    const { values, positionals, signal } = invocation
    const [name = '', path = ''] = positionals
    const format = (textOf(values, 'format') ?? ENDS[path.split('.').at(-1) ?? ''] ?? 'text') as ListFormat
    const source = await sourceAt(invocation, path, format)
    const content = await contentOf(source, signal)
    const replaces = numberOf(values, 'if-revision', 0) ?? (await store.readList(name))?.revision ?? 0
    const revision = await store.writeList(
      name,
      watched(invocation, source, content, place.startsWith('redis')),
      replaces,
      noteOf(invocation),
      content.digest,
    )
    const { size } = content
    await show(invocation, [`${name} is at revision ${revision} with ${counted(size, 'entry', 'entries')}`], {
      name,
      revision,
      size,
    })
    return EXIT.ok
  },
  { create: true },
)

/** Passes the entries to the store, reports progress, and stops on Ctrl-C. It rejects if they differ from the checked ones. */
async function* watched(
  invocation: Invocation,
  source: ListSource,
  { size, digest }: Content,
  resumes: boolean,
): AsyncGenerator<ListEntry> {
  const { signal } = invocation
  const progress = createProgress(invocation, size, 'entries')
  const hash = createHash('sha256')
  let [count, text] = [0, '']
  try {
    for await (const part of source.parts()) {
      for (const entry of part) {
        yield entry
        count += 1
        text += formatLine(entry)
        if (text.length < 65_536) continue
        hash.update(text)
        text = ''
        progress.reach(count)
        if (signal.aborted) throw interruptedAt(count, size, resumes)
      }
    }
    if (hash.update(text).digest('base64url') !== digest)
      throw new Error('the file changed while it was being read; nothing was written')
  } finally {
    progress.end()
  }
}

function interruptedAt(count: number, size: number, resumes: boolean): InterruptedError {
  const next = resumes ? 'run the same command within an hour to resume' : 'run the same command again'
  return new InterruptedError(`interrupted at ${count} of ${size} entries: the list is unchanged; ${next}`)
}
