import * as z from 'zod/mini'
import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import { findStored, policyAt, threeWay, withoutOldDraft, type Desk } from '../desk.ts'
import { revisionToMatch, tagOf } from '../if-match.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Exchange, type Route } from '../route.ts'
import { noteFor, writeOver } from './drafts.ts'

/** For programs: they need no draft to write a finished policy. */
export function policyRoutes(desk: Desk): Route[] {
  return [
    route<object>({
      method: 'PUT',
      path: '/apps/:appId/policy',
      access: ['narrow', 'widen', 'break-glass'],
      conditional: true,
      summary:
        'Replaces the revision in If-Match by this policy, without a draft; `why` is the note. `If-Match: "0"` creates an app.',
      body: () => z.looseObject({ appId: z.string() }),
      async handle(exchange) {
        const { params, body } = exchange
        const { appId = '' } = params
        const replaces = revisionToMatch(exchange)
        const policy = parsePolicy(body)
        if (policy.appId !== appId)
          throw new ConsoleProblem('DOCUMENT_REFUSED', {
            issues: [{ path: 'appId', message: 'must match the path' }],
          })
        const revision =
          replaces === 0
            ? await makeApp(desk, exchange, policy)
            : await replacePolicy(desk, exchange, policy, replaces)
        return {
          status: replaces === 0 ? 201 : 200,
          body: { revision, replaced: replaces },
          headers: { ETag: tagOf(revision) },
        }
      },
    }),
  ]
}

const whyOf = ({ query }: Exchange): string | undefined => query.get('why') ?? undefined

async function makeApp(desk: Desk, exchange: Exchange, policy: Policy): Promise<number> {
  const { session } = exchange
  if (!session.rights.has('widen')) throw new ConsoleProblem('RIGHT_MISSING', { missing: ['widen'] })
  const { appId } = policy
  const note = { author: session.name, note: whyOf(exchange) }
  try {
    return await withoutOldDraft(desk, appId, () => writeOver(desk, appId, policy, 0, note))
  } catch (error) {
    if (error instanceof ConsoleProblem && error.problem === 'REVISION_STALE')
      throw new ConsoleProblem('ALREADY_THERE', { detail: 'there is already an app with this id' })
    throw error
  }
}

async function replacePolicy(
  desk: Desk,
  exchange: Exchange,
  wanted: Policy,
  replaces: number,
): Promise<number> {
  const { appId } = wanted
  const { stored, policy } = await findStored(desk, appId)
  if (stored.revision !== replaces) {
    const base = await policyAt(desk, appId, replaces)
    throw new ConsoleProblem('REVISION_STALE', policy && { conflict: threeWay(base, policy, wanted) })
  }
  const note = await noteFor(desk, exchange, [policy, wanted], whyOf(exchange))
  return writeOver(desk, appId, wanted, replaces, { author: exchange.session.name, note })
}
