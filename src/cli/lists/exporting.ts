import { formatList, type ListFormat } from '../../list/format.ts'
import { EXIT, InterruptedError, NotFoundError, textOf } from '../command.ts'
import { isJson } from '../output.ts'
import { withStore } from '../store.ts'

export const exportList = withStore(async (invocation, { store }) => {
  const { values, positionals, out, signal } = invocation
  const [name = ''] = positionals
  const list = await store.readList(name)
  if (list === undefined) throw new NotFoundError(`there is no list \`${name}\``)
  const format = (textOf(values, 'format') ?? (isJson(invocation) ? 'json' : 'text')) as ListFormat
  for await (const text of formatList(list.chunks(), format)) {
    await out(text)
    if (signal.aborted) throw new InterruptedError('interrupted: the export is incomplete')
  }
  return EXIT.ok
})
