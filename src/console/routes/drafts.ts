import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod/mini'
import { isPortcullisError } from '../../errors.ts'
import { checkExpectations } from '../../explain/expectations.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import type { Review } from '../contract.ts'
import {
  afterwards,
  findApp,
  findWithDraft,
  onRevisionInForce,
  policyAt,
  staleProblem,
  threeWay,
  viewApp,
  viewDraft,
  withoutPolicies,
  type Desk,
} from '../desk.ts'
import { editsBetween, valueAt, withEdits, type DraftEdit } from '../draft-edits.ts'
import type { Draft } from '../drafts.ts'
import { revisionToMatch, tagOf } from '../if-match.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Exchange, type Route } from '../route.ts'
import { assess, parseAssessed, scoresOf } from '../steps.ts'
import { missingListsOf, missingRights, verdictOf } from '../verdict.ts'
import { changesInWords } from '../words.ts'

const EDITORS = ['narrow', 'widen', 'break-glass'] as const

/** More than a policy has members. Each edit of a list takes as long as the list is. */
const MOST_EDITS = 100

interface Edits {
  /** The version that was edited; left out if there was no draft. */
  version?: string
  /** The revision in force when the edits were made; left out if the policies are not known. */
  revision?: number
  edits: DraftEdit[]
}

interface Edit {
  /** The version that was edited; left out if there was no draft. */
  version?: string
  /** The policy that was edited: that of the version, or the one in force. */
  before: unknown
  policy: unknown
}

export function draftRoutes(desk: Desk): Route[] {
  return [
    route<Edit>({
      method: 'PUT',
      path: '/apps/:appId/draft',
      access: EDITORS,
      summary: 'Edits the draft of an app. Edits of two people are merged if they do not conflict.',
      body: () =>
        z.strictObject({ version: z.optional(z.string()), before: z.unknown(), policy: z.unknown() }),
      handle(exchange) {
        const { before, policy } = exchange.body
        const edits = editsBetween(parsePolicy(before), parsePolicy(policy))
        return editDraft(desk, { ...exchange, body: { edits } })
      },
    }),
    route<Edits>({
      method: 'POST',
      path: '/apps/:appId/draft/edits',
      access: EDITORS,
      summary:
        'Edits single members of the draft of an app. The answer leaves out the policies if nobody else has changed them.',
      body: () =>
        z.strictObject({
          version: z.optional(z.string()),
          revision: z.optional(z.number()),
          edits: z
            .array(
              z.strictObject({
                path: z.string().check(z.regex(/^\w+(?:\.\w+)?$/)),
                add: z.optional(z.array(z.unknown())),
                remove: z.optional(z.array(z.unknown())),
                before: z.optional(z.unknown()),
                after: z.optional(z.unknown()),
              }),
            )
            .check(z.maxLength(MOST_EDITS)),
        }),
      handle: (exchange) => editDraft(desk, exchange),
    }),
    route<{ version: string }>({
      method: 'DELETE',
      path: '/apps/:appId/draft',
      access: EDITORS,
      summary: 'Discards the draft.',
      body: () => z.strictObject({ version: z.string() }),
      async handle({ params: { appId = '' }, body: { version } }) {
        if (!(await desk.drafts.discard(appId, version))) throw new ConsoleProblem('REVISION_STALE')
        return { body: await afterwards(desk, () => viewApp(desk, appId)) }
      },
    }),
    route<{ take: 'merged' | 'yours' | 'theirs'; version: string }>({
      method: 'POST',
      path: '/apps/:appId/draft/rebase',
      access: EDITORS,
      summary: 'Moves a draft to the revision that is in force now.',
      body: () => z.strictObject({ take: z.enum(['merged', 'yours', 'theirs']), version: z.string() }),
      handle: (exchange) => rebaseDraft(desk, exchange),
    }),
    route({
      method: 'GET',
      path: '/apps/:appId/review',
      access: ['look'],
      summary: 'What publishing the draft would change, and whether you may publish it.',
      async handle({ params: { appId = '' }, session }) {
        return { body: await review(desk, appId, session.rights) }
      },
    }),
    route<{ version: string; note?: string }>({
      method: 'POST',
      path: '/apps/:appId/publication',
      access: EDITORS,
      conditional: true,
      summary: 'Replaces the revision in If-Match by the draft of this version.',
      body: () => z.strictObject({ version: z.string(), note: z.optional(z.string()) }),
      handle: (exchange) => publish(desk, exchange),
    }),
  ]
}

/** An app and its draft, as they were found. */
type Found = Awaited<ReturnType<typeof findWithDraft>>

async function editDraft(desk: Desk, exchange: Exchange<Edits>): ReturnType<Route['handle']> {
  const { params, body } = exchange
  const { appId = '' } = params
  const found = await findWithDraft(desk, appId)
  const { app, draft } = found
  const theirs = draft?.policy ?? app.policy
  const wanted = withEdits(theirs, body.edits)
  let policy = parseAssessed(wanted)
  const clashes = body.edits.filter(({ path, add, remove, before, after }) => {
    const value = valueAt(theirs, path)
    const isList = add !== undefined || remove !== undefined
    return !isList && !isDeepStrictEqual(value, before) && !isDeepStrictEqual(value, after)
  })
  if (clashes.length > 0) {
    const base = withEdits(
      theirs,
      clashes.map(({ path, before }) => ({ path, after: before })),
    )
    const conflict = threeWay(parsePolicy(base), theirs, policy)
    if (conflict.merged === undefined)
      throw new ConsoleProblem('REVISION_STALE', { conflict, current: draft && viewDraft(draft, app) })
    policy = conflict.merged
  }
  const version = await save(desk, exchange, found, policy)
  const view = await afterwards(desk, () => viewApp(desk, appId))
  const isKnown =
    view !== undefined &&
    [draft?.version, app.stored.revision, view.revision].join() ===
      [body.version, body.revision, body.revision].join() &&
    (view.draft === undefined || view.draft.version === version) &&
    isDeepStrictEqual(policy, wanted)
  return { body: isKnown ? withoutPolicies(view) : view }
}

/** Saves a draft. Returns its version. */
async function save(
  desk: Desk,
  { params: { appId = '' }, session }: Exchange,
  { app, draft }: Found,
  policy: Policy,
): Promise<string> {
  if (policy.appId !== appId)
    throw new ConsoleProblem('DOCUMENT_REFUSED', {
      issues: [{ path: 'appId', message: 'cannot be changed' }],
    })
  const base = draft?.base ?? app.stored.revision
  const put = await desk.drafts.put(appId, draft?.version, { base, policy, author: session.name })
  if (put === undefined) throw new ConsoleProblem('REVISION_STALE')
  // If an edit undoes the last change, there is nothing left to publish.
  if (base === app.stored.revision && changesInWords(app.policy, policy).length === 0)
    await afterwards(desk, () => desk.drafts.discard(appId, put.version))
  return put.version
}

async function rebaseDraft(
  desk: Desk,
  { params, body, session }: Exchange<{ take: 'merged' | 'yours' | 'theirs'; version: string }>,
): ReturnType<Route['handle']> {
  const { appId = '' } = params
  const draft = await draftOf(desk, appId, body.version)
  const app = await findApp(desk, appId)
  const conflict = threeWay(await policyAt(desk, appId, draft.base), app.policy, draft.policy)
  const policy = body.take === 'merged' ? conflict.merged : conflict[body.take]
  if (policy === undefined) throw new ConsoleProblem('REVISION_STALE', { conflict })
  const next = { base: app.stored.revision, policy, author: session.name }
  const isDone =
    changesInWords(app.policy, policy).length === 0
      ? await desk.drafts.discard(appId, draft.version)
      : (await desk.drafts.put(appId, draft.version, next)) !== undefined
  if (!isDone) throw new ConsoleProblem('REVISION_STALE')
  return { body: await afterwards(desk, () => viewApp(desk, appId)) }
}

/** @throws ConsoleProblem if the draft has another version now. */
async function draftOf(desk: Desk, appId: string, version?: string): Promise<Draft> {
  const draft = await desk.drafts.find(appId)
  if (draft === undefined) throw new ConsoleProblem('NOT_FOUND', { detail: 'there is no draft' })
  if (version === undefined || draft.version === version) return draft
  const app = await findApp(desk, appId)
  throw new ConsoleProblem('REVISION_STALE', { current: viewDraft(draft, app) })
}

async function review(desk: Desk, appId: string, rights: Exchange['session']['rights']): Promise<Review> {
  const found = await draftOf(desk, appId)
  const app = await findApp(desk, appId)
  const { stored, policy } = app
  const draft = await onRevisionInForce(desk, found, app)
  const verdict = await verdictOf(desk, policy, draft.policy)
  const stale = draft.base !== stored.revision
  return {
    version: draft.version,
    revision: stored.revision,
    ...scoresOf(policy, draft.policy, stored.keys),
    changes: changesInWords(policy, draft.policy),
    verdict,
    findings: assess(draft.policy).findings,
    missingLists: await missingListsOf(desk, draft.policy),
    missing: missingRights(verdict, rights),
    conflict: stale ? threeWay(await policyAt(desk, appId, draft.base), policy, draft.policy) : undefined,
  }
}

/** The shortest reason for breaking the glass, in characters. */
const SHORTEST_REASON = 20

/**
 * Checks whether the user may replace one policy by another, and returns the note.
 *
 * @throws ConsoleProblem
 */
export async function noteFor(
  desk: Desk,
  { session }: Pick<Exchange, 'session'>,
  [before, after]: readonly [Policy | undefined, Policy],
  note: string | undefined,
): Promise<string | undefined> {
  const missing = missingRights(await verdictOf(desk, before, after), session.rights)
  if (missing.length === 0) return note
  if (!session.rights.has('break-glass')) throw new ConsoleProblem('RIGHT_MISSING', { missing })
  if ((note ?? '').trim().length < SHORTEST_REASON)
    throw new ConsoleProblem('PURPOSE_MISSING', {
      detail: `to break the glass, give a reason of at least ${SHORTEST_REASON} characters`,
    })
  return `break glass: ${note}`.slice(0, 1024)
}

async function publish(
  desk: Desk,
  exchange: Exchange<{ version: string; note?: string }>,
): ReturnType<Route['handle']> {
  const { params, body, session } = exchange
  const { appId = '' } = params
  const replaces = revisionToMatch(exchange)
  const found = await draftOf(desk, appId, body.version)
  const app = await findApp(desk, appId)
  const { stored, policy } = app
  const draft = await onRevisionInForce(desk, found, app)
  if (stored.revision !== replaces || draft.base !== stored.revision) {
    const conflict = threeWay(await policyAt(desk, appId, draft.base), policy, draft.policy)
    throw new ConsoleProblem('REVISION_STALE', { conflict })
  }
  const note = await noteFor(desk, exchange, [policy, draft.policy], body.note)
  const revision = await writeOver(desk, appId, draft.policy, replaces, { author: session.name, note })
  await afterwards(desk, () => desk.drafts.discard(appId, draft.version))
  return { body: { revision, replaced: replaces }, headers: { ETag: tagOf(revision) } }
}

/** Writes the policy. After a conflict, the problem contains the three versions. */
export async function writeOver(
  desk: Desk,
  appId: string,
  policy: Policy,
  replaces: number,
  note: { author: string; note: string | undefined },
): Promise<number> {
  const { readList } = desk.store
  try {
    const check = checkExpectations({ ...(readList && { lists: (name) => readList.call(desk.store, name) }) })
    return await desk.store.write({ policy }, replaces, note, { check })
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'REVISION_CONFLICT')
      throw await staleProblem(desk, appId, error as never, policy)
    throw error
  }
}
