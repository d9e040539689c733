import { isKeyId, NAME_RULE } from '../../names.ts'
import type { KeyHolders } from '../contract.ts'
import type { Desk } from '../desk.ts'
import { pageLimit } from '../page.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Route } from '../route.ts'

/** How many apps are searched at a time, because stores have no index of key ids. */
const SEARCHED = 200

export function keyHolderRoutes(desk: Desk): Route[] {
  return [
    route({
      method: 'GET',
      path: '/keys',
      access: ['look'],
      summary:
        'The apps that have a key with the id `find`. Looks through `limit` apps (usually 200) after the app `after`; `next` says where to continue.',
      handle: async ({ query }) => ({ body: await holdersOf(desk, query) }),
    }),
  ]
}

async function holdersOf({ store, onError }: Desk, query: URLSearchParams): Promise<KeyHolders> {
  const find = query.get('find')
  if (!isKeyId(find)) throw new ConsoleProblem('REQUEST_INVALID', { detail: `\`find\` ${NAME_RULE}` })
  const { apps, next } = await store.list({
    after: query.get('after') ?? undefined,
    limit: pageLimit(query, SEARCHED),
  })
  const unread: string[] = []
  const holders = await Promise.all(
    apps.map(async ({ appId }) => {
      try {
        const keys = (await store.keys(appId)) ?? []
        return keys.some(({ id }) => id === find) ? [appId] : []
      } catch (error) {
        // The store does not answer, or the record of this app is damaged.
        onError(error)
        unread.push(appId)
        return []
      }
    }),
  )
  return { apps: holders.flat(), unread, ...(next !== undefined && { next }) }
}
