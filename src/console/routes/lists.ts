import * as z from 'zod/mini'
import { isPortcullisError } from '../../errors.ts'
import type { ListEntry } from '../../list/entry.ts'
import { parseList } from '../../list/format.ts'
import { isListName, NAME_RULE } from '../../names.ts'
import type { ListStore, StoredList } from '../../store/list-contract.ts'
import type { ListPage, ListsView } from '../contract.ts'
import type { Desk } from '../desk.ts'
import { revisionToMatch, tagOf } from '../if-match.ts'
import { numberIn, pageLimit } from '../page.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Route } from '../route.ts'

interface ListEdit {
  /** Lines in the format of `parseList`. */
  add?: string
  /** Ranges as they are written in the list. */
  remove?: string[]
  note?: string
}

/** A list may admit in one app and refuse in another, so each edit may admit more. */
const EDITORS = ['widen'] as const

export function listRoutes(desk: Desk): Route[] {
  return [
    route({
      method: 'GET',
      path: '/lists',
      access: ['look'],
      summary: 'The named lists, sorted by name.',
      async handle() {
        const body: ListsView = { lists: await listsIn(desk).lists() }
        return { body }
      },
    }),
    route({
      method: 'GET',
      path: '/lists/:name',
      access: ['look'],
      summary: 'Entries of a list: `limit` of them after the first `from`, or those that contain `find`.',
      async handle({ params: { name = '' }, query }) {
        const list = await listOf(desk, name)
        const from = query.get('from') === '0' ? 0 : numberIn(query, 'from', 0)
        const body = await pageOf(name, list, {
          from,
          limit: pageLimit(query, 100),
          find: query.get('find') ?? '',
        })
        return { body, headers: { ETag: tagOf(list.revision) } }
      },
    }),
    route<ListEdit>({
      method: 'PUT',
      path: '/lists/:name',
      access: EDITORS,
      conditional: true,
      summary: 'Adds and removes entries of a list. `If-Match: "0"` creates a list.',
      body: () =>
        z.strictObject({
          add: z.optional(z.string()),
          remove: z.optional(z.array(z.string())),
          note: z.optional(z.string()),
        }),
      async handle(exchange) {
        const { params, body, session } = exchange
        const { name = '' } = params
        if (!session.rights.has('narrow')) throw new ConsoleProblem('RIGHT_MISSING', { missing: ['narrow'] })
        const replaces = revisionToMatch(exchange)
        const revision = await writeList(desk, name, replaces, body, session.name)
        return { body: { revision }, headers: { ETag: tagOf(revision) } }
      },
    }),
  ]
}

function listsIn({ store }: Desk): ListStore {
  if (store.lists === undefined || store.readList === undefined || store.writeList === undefined)
    throw new ConsoleProblem('NOT_SUPPORTED', { detail: 'this store has no named lists' })
  return store as unknown as ListStore
}

async function listOf(desk: Desk, name: string): Promise<StoredList> {
  const list = isListName(name) ? await listsIn(desk).readList(name) : undefined
  if (list === undefined) throw new ConsoleProblem('NOT_FOUND', { detail: 'there is no list with this name' })
  return list
}

async function pageOf(
  name: string,
  list: StoredList,
  { from, limit, find }: { from: number; limit: number; find: string },
): Promise<ListPage> {
  const entries: ListEntry[] = []
  let [place, hasMore] = [0, false]
  reading: for await (const chunk of list.chunks()) {
    // Without a search, whole chunks are skipped.
    if (find === '' && place + chunk.length <= from) {
      place += chunk.length
      continue
    }
    for (const entry of chunk) {
      if (find !== '' && !contains(entry, find)) continue
      place += 1
      if (place <= from) continue
      hasMore = entries.length === limit
      if (hasMore) break reading
      entries.push(entry)
    }
  }
  const { revision, size } = list
  return { name, revision, size, from, entries, ...(hasMore && { next: from + limit }) }
}

function contains({ range, note = '', owner = '' }: ListEntry, find: string): boolean {
  return range.includes(find) || note.includes(find) || owner.includes(find)
}

async function writeList(
  desk: Desk,
  name: string,
  replaces: number,
  { add = '', remove = [], note }: ListEdit,
  author: string,
): Promise<number> {
  if (!isListName(name))
    throw new ConsoleProblem('DOCUMENT_REFUSED', { issues: [{ path: 'name', message: NAME_RULE }] })
  const lists = listsIn(desk)
  const added = [...parseList(add, 'text')]
  const gone = new Set(remove)
  const before = replaces === 0 ? undefined : await listOf(desk, name)
  if (before !== undefined && before.revision !== replaces) throw new ConsoleProblem('REVISION_STALE')
  async function* entries(): AsyncGenerator<ListEntry> {
    const replaced = new Set(added.map(({ range }) => range))
    if (before !== undefined) {
      for await (const chunk of before.chunks())
        for (const entry of chunk) if (!gone.has(entry.range) && !replaced.has(entry.range)) yield entry
    }
    yield* added
  }
  try {
    return await lists.writeList(name, entries(), replaces, { author, note })
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'REVISION_CONFLICT')
      throw new ConsoleProblem(replaces === 0 ? 'ALREADY_THERE' : 'REVISION_STALE')
    throw error
  }
}
