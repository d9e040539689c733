import * as z from 'zod/mini'
import type { AppRevision } from '../../store/contract.ts'
import type { Change, HistoryRow, HistoryView } from '../contract.ts'
import { findStored, parseOnce, policyAt, threeWay, type Desk } from '../desk.ts'
import { revisionToMatch, tagOf } from '../if-match.ts'
import { numberIn, pageLimit } from '../page.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Route } from '../route.ts'
import { changesInWords } from '../words.ts'
import { noteFor, writeOver } from './drafts.ts'

export function historyRoutes(desk: Desk): Route[] {
  return [
    route({
      method: 'GET',
      path: '/apps/:appId/history',
      access: ['look'],
      summary: 'The revisions of an app, newest first, with the changes of each.',
      async handle({ params: { appId = '' }, query }) {
        const limit = pageLimit(query, 20)
        const before = numberIn(query, 'before', undefined)
        // One more, to show what the oldest row changed.
        const rows = await desk.store.history(appId, { before, limit: limit + 1 })
        if (rows.length === 0 && before === undefined) throw new ConsoleProblem('NOT_FOUND')
        const body: HistoryView = {
          rows: rows.slice(0, limit).map((row, index) => rowOf(row, rows[index + 1])),
          ...(rows.length > limit && { next: rows[limit - 1]?.revision }),
        }
        return { body }
      },
    }),
    route<{ to: number; note?: string }>({
      method: 'POST',
      path: '/apps/:appId/rollback',
      access: ['narrow', 'widen', 'break-glass'],
      conditional: true,
      summary: 'Restores the policy of an earlier revision as a new revision. Keys are not changed.',
      body: () => z.strictObject({ to: z.int().check(z.gte(1)), note: z.optional(z.string()) }),
      async handle(exchange) {
        const { params, body, session } = exchange
        const { appId = '' } = params
        const replaces = revisionToMatch(exchange)
        const [target, { stored, policy }] = await Promise.all([
          policyAt(desk, appId, body.to),
          findStored(desk, appId),
        ])
        if (target === undefined)
          throw new ConsoleProblem('NOT_FOUND', { detail: 'the history does not have this revision' })
        // The verdict compares with the current revision, so that is the one to replace.
        if (stored.revision !== replaces) {
          const base = await policyAt(desk, appId, replaces)
          throw new ConsoleProblem('REVISION_STALE', policy && { conflict: threeWay(base, policy, target) })
        }
        const given = body.note === '' ? undefined : body.note
        // A reason must come from a person, not from the default note.
        const note =
          (await noteFor(desk, exchange, [policy, target], given)) ?? `roll back to revision ${body.to}`
        const revision = await writeOver(desk, appId, target, replaces, { author: session.name, note })
        return { body: { revision, replaced: replaces }, headers: { ETag: tagOf(revision) } }
      },
    }),
  ]
}

function rowOf(row: AppRevision, before: AppRevision | undefined): HistoryRow {
  const { revision, at, author, note, keysChanged, policy } = row
  return {
    revision,
    at,
    author,
    note,
    keysChanged,
    removed: policy === undefined,
    changes: changesBetween(before?.policy, policy),
  }
}

function changesBetween(before: unknown, after: unknown): readonly Change[] {
  if (after === undefined) return []
  try {
    return changesInWords(before === undefined ? undefined : parseOnce(before), parseOnce(after))
  } catch {
    // The document has an older form that is no longer valid.
    return [
      { path: '', sentence: 'cannot be compared: one of the documents is invalid', added: [], removed: [] },
    ]
  }
}
