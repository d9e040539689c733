import { didYouMean } from '../../did-you-mean.ts'
import { EXIT, NotFoundError } from '../command.ts'
import { nextCommand } from '../next-command.ts'
import { columns, counted, plain, show, tell } from '../output.ts'
import { withStore } from '../store.ts'

export const showLists = withStore(async (invocation, { store }) => {
  const [name] = invocation.positionals
  const all = await store.lists()
  const lists = name === undefined ? all : all.filter((list) => list.name === name)
  if (name !== undefined && lists.length === 0) {
    const meant = didYouMean(
      name,
      all.map((list) => list.name),
    )
    throw new NotFoundError(
      `there is no list \`${name}\`${meant === undefined ? '' : `: did you mean \`${meant}\`?`}`,
    )
  }
  const lines = columns(
    lists.map(({ name: id, size, revision, at, author = '', note = '' }) => [
      id,
      counted(size, 'entry', 'entries'),
      `revision ${revision}`,
      at,
      plain(author),
      plain(note),
    ]),
  )
  await show(invocation, lines, { lists })
  if (lists.length === 0)
    tell(
      invocation,
      `there are no lists: create one with \`${nextCommand(invocation, 'list import NAME FILE')}\``,
    )
  return lists.length === 0 ? EXIT.no : EXIT.ok
})
