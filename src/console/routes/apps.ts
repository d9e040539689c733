import * as z from 'zod/mini'
import { isPortcullisError } from '../../errors.ts'
import { isAppId, NAME_RULE } from '../../names.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import { GUARD_NAMES } from '../../policy/sections.ts'
import type { ListedApp } from '../../store/contract.ts'
import type { AppRow, AppRows } from '../contract.ts'
import { afterwards, dropDraft, parseOnce, viewApp, withoutOldDraft, type Desk } from '../desk.ts'
import { revisionToMatch, tagOf } from '../if-match.ts'
import { pageLimit } from '../page.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Exchange, type Route } from '../route.ts'
import { assess, highestScoreOf, mayLiveInBrowser } from '../steps.ts'

/** A new app admits nobody, because no signature is valid without a key. */
const NEW_APP = {
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'report' },
  domainProtect: { mode: 'report' },
  returnUrlGuard: { mode: 'report' },
  regionPin: { mode: 'report' },
  auditAccess: { mode: 'enforce' },
} as const

export function appRoutes(desk: Desk): Route[] {
  return [
    route({
      method: 'GET',
      path: '/apps',
      access: ['look'],
      summary: 'The apps, sorted by id; with `find`, those whose id begins with it.',
      async handle({ query }) {
        const page = await pageOfApps(desk, query.get('find') ?? '', {
          after: query.get('after') ?? undefined,
          limit: pageLimit(query, ON_A_PAGE),
        })
        return { body: page }
      },
    }),
    route<{ appId: string; name?: string }>({
      method: 'POST',
      path: '/apps',
      access: ['widen'],
      summary: 'Creates an app. It admits nobody until it has a key.',
      body: () => z.strictObject({ appId: z.string(), name: z.optional(z.string()) }),
      async handle({ body: { appId, name }, session }) {
        if (!isAppId(appId))
          throw new ConsoleProblem('DOCUMENT_REFUSED', { issues: [{ path: 'appId', message: NAME_RULE }] })
        const policy = parsePolicy({ appId, ...(name && { name }), ...NEW_APP })
        const note = { author: session.name, note: 'created in the console' }
        try {
          await withoutOldDraft(desk, appId, () => desk.store.write({ policy }, 0, note))
        } catch (error) {
          if (isPortcullisError(error) && error.code === 'REVISION_CONFLICT')
            throw new ConsoleProblem('ALREADY_THERE', { detail: 'there is already an app with this id' })
          throw error
        }
        return { status: 201, body: await afterwards(desk, () => viewApp(desk, appId)) }
      },
    }),
    route({
      method: 'GET',
      path: '/apps/:appId',
      access: ['look'],
      summary: 'An app: its policy in force, its score, what to do next, and its draft.',
      async handle({ params: { appId = '' } }) {
        const view = await viewApp(desk, appId)
        return { body: view, headers: { ETag: tagOf(view.revision) } }
      },
    }),
    route<{ appId: string; note?: string }>({
      method: 'DELETE',
      path: '/apps/:appId',
      access: ['narrow'],
      conditional: true,
      summary:
        'Removes an app with its keys, at the revision in If-Match. From then on all its requests are refused. Needs the right `keys` too. The content repeats the id.',
      body: () => z.strictObject({ appId: z.string(), note: z.optional(z.string()) }),
      handle: (exchange) => removeApp(desk, exchange),
    }),
  ]
}

async function removeApp(
  desk: Desk,
  exchange: Exchange<{ appId: string; note?: string }>,
): ReturnType<Route['handle']> {
  const { params, body, session } = exchange
  const { appId = '' } = params
  if (!session.rights.has('keys')) throw new ConsoleProblem('RIGHT_MISSING', { missing: ['keys'] })
  if (body.appId !== appId)
    throw new ConsoleProblem('DOCUMENT_REFUSED', {
      issues: [{ path: 'appId', message: 'must be the id of the app to remove' }],
    })
  const replaces = revisionToMatch(exchange)
  // Not `findApp`, because an app with an invalid document can be removed too.
  if (!isAppId(appId) || (await desk.store.read(appId)) === undefined)
    throw new ConsoleProblem('NOT_FOUND', { detail: 'there is no app with this id' })
  try {
    await desk.store.remove(appId, replaces, {
      author: session.name,
      note: body.note === undefined || body.note === '' ? 'removed in the console' : body.note,
    })
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'REVISION_CONFLICT')
      throw new ConsoleProblem('REVISION_STALE')
    throw error
  }
  await afterwards(desk, () => dropDraft(desk, appId))
  return {}
}

/** How many apps the dashboard shows on a page: about as many as fit on a screen. */
const ON_A_PAGE = 20

export const firstApps = (desk: Desk): Promise<AppRows> =>
  pageOfApps(desk, '', { after: undefined, limit: ON_A_PAGE })

async function pageOfApps(
  desk: Desk,
  find: string,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<AppRows> {
  if (find === '') return rowsOf(desk, await desk.store.list({ after, limit }))
  if (!isAppId(find)) return { apps: [] }
  // Ids are sorted, so those that begin with `find` follow after the id that equals it.
  const exact = after === undefined ? await desk.store.read(find) : undefined
  const begin = after === undefined || after < find ? find : after
  const { apps, next } = await desk.store.list({ after: begin, limit })
  const alike = apps.filter(({ appId }) => appId.startsWith(find))
  const first = exact === undefined ? [] : [{ appId: find, revision: exact.revision, policy: exact.policy }]
  return rowsOf(desk, {
    apps: [...first, ...alike],
    next: alike.length === apps.length ? next : undefined,
  })
}

async function rowsOf(
  desk: Desk,
  { apps, next }: { apps: readonly ListedApp[]; next: string | undefined },
): Promise<AppRows> {
  const rows = await Promise.all(apps.map((app) => rowOf(desk, app)))
  return { apps: rows, ...(next !== undefined && { next }) }
}

async function rowOf(
  { drafts, store }: Desk,
  { appId, revision, policy: document }: ListedApp,
): Promise<AppRow> {
  const hasDraft = (await drafts.find(appId)) !== undefined
  let policy: Policy
  try {
    policy = parseOnce(document)
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'POLICY_INVALID')
      return { appId, revision, modes: {}, hasDraft }
    throw error
  }
  const modes = GUARD_NAMES.flatMap((name) => {
    const mode = policy[name]?.mode
    return mode === undefined ? [] : [[name, mode]]
  })
  const { score } = assess(policy)
  // The list has no keys. They are read only if they make a difference.
  const keys = mayLiveInBrowser(policy) ? await store.keys(appId) : []
  return {
    appId,
    name: policy.name,
    revision,
    score,
    highestScore: highestScoreOf(policy, keys ?? []),
    modes: Object.fromEntries(modes) as AppRow['modes'],
    hasDraft,
  }
}
