import { judgedSealer, type JudgedKey } from '../../audit/judged-facts.ts'
import type { OperationEvent } from '../../audit/event.ts'
import type { Decision } from '../../decision.ts'
import { nearestEntry, type Comparison } from '../../explain/comparisons.ts'
import { callOf, openKept, type RecordedCall } from '../../explain/recorded-facts.ts'
import { rejudge } from '../../explain/rejudge.ts'
import type { ListEntry } from '../../list/entry.ts'
import type { EntryComparison } from '../../match/nearest.ts'
import { readPolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import type { JudgedAgain, JudgementView, MissingEntry, NewDecision } from '../contract.ts'
import { findApp, type Desk } from '../desk.ts'
import { ConsoleProblem } from '../problems.ts'
import { eventsOf, judged } from '../recorded.ts'
import { route, type Route } from '../route.ts'
import { judgeEntries } from './entries.ts'

/** A recorded request, judged again with the policy in force and with the draft. */
export function judgementRoutes(desk: Desk): Route[] {
  return [
    route({
      method: 'GET',
      path: '/requests/:requestId/judgement',
      access: ['look-at-personal-data'],
      personal: true,
      summary:
        'How a recorded request would be decided now, with the policy in force and with the draft; and which entries would let it pass.',
      async handle({ params: { requestId = '' } }) {
        const { judgedKey } = desk
        if (judgedKey === undefined)
          throw new ConsoleProblem('NOT_SUPPORTED', { detail: 'the console was created without `judgedKey`' })
        const [event] = judged((await eventsOf(desk, { requestId, limit: 200 })).events)
        if (event?.appId === undefined)
          throw new ConsoleProblem('NOT_FOUND', {
            detail: 'there is no record of a request with this id by an app',
          })
        return { body: await judgementOf(desk, { ...event, appId: event.appId }, judgedKey) }
      },
    }),
  ]
}

async function judgementOf(
  desk: Desk,
  event: OperationEvent & { readonly appId: string },
  key: JudgedKey,
): Promise<JudgementView> {
  const { appId } = event
  const [{ stored, policy }, draft] = await Promise.all([findApp(desk, appId), desk.drafts.find(appId)])
  const kept = openKept(event, judgedSealer(key))
  const call = typeof kept === 'string' ? {} : callOf(kept)
  const again: JudgedAgain[] = []
  for (const recorded of event.decisions) {
    const alone = { ...event, decisions: event.decisions.filter(({ guard }) => guard === recorded.guard) }
    again.push({
      guard: recorded.guard,
      recorded: recorded.code,
      now: await decide(desk, { event: alone, recorded, policy, key }),
      ...(draft && { draft: await decide(desk, { event: alone, recorded, policy: draft.policy, key }) }),
    })
  }
  return {
    appId,
    revision: stored.revision,
    hasDraft: draft !== undefined,
    kept: typeof kept === 'string' ? kept : 'kept',
    decisions: again,
    call,
    missing: missingOf(call, again, draft?.policy, policy),
  }
}

/** One decision with another policy. `unknown`: it cannot be judged again. */
async function decide(
  { store }: Desk,
  {
    event,
    recorded,
    policy,
    key,
  }: { event: OperationEvent; recorded: Decision; policy: Policy; key: JudgedKey },
): Promise<NewDecision> {
  const { readList } = store
  const report = await rejudge({
    events: [event],
    key,
    policyOf: () => policy,
    ...(readList && {
      listOf: async (name: string): Promise<ListEntry[] | undefined> => {
        const list = await readList.call(store, name)
        if (list === undefined) return undefined
        const entries: ListEntry[] = []
        for await (const chunk of list.chunks()) entries.push(...chunk)
        return entries
      },
    }),
  })
  const found = report.differences.find((difference) => difference.recorded === recorded)
  if (found !== undefined) return viewOf(found.now)
  const judgedNumber = report.same + report.different
  return judgedNumber === report.decisions ? viewOf(recorded) : 'unknown'
}

const viewOf = ({ effect, mode, code, detail }: Decision): NewDecision => ({ effect, mode, code, detail })

interface Wanted {
  readonly guard: Comparison['guard']
  readonly list: MissingEntry['list']
  readonly entry: string | undefined
}

/** The guard, its list, and the entry that would prevent each kind of refusal. */
const ENTRIES: Readonly<Record<string, (call: RecordedCall) => Wanted>> = {
  ADDRESS_NOT_ALLOWED: ({ address }) => ({
    guard: 'ipWhitelist',
    list: 'ipWhitelist.ranges',
    entry: address,
  }),
  ORIGIN_NOT_ALLOWED: ({ origin, xOrigin }) => ({
    guard: 'domainProtect',
    list: 'domainProtect.domains',
    entry: xOrigin ?? origin,
  }),
  RETURN_URL_NOT_ALLOWED: ({ returnUrl }) => ({
    guard: 'returnUrlGuard',
    list: 'returnUrlGuard.urls',
    entry: returnUrl,
  }),
}

/** The entries that the draft, or the policy in force, would need to prevent the remaining refusals. */
function missingOf(
  call: RecordedCall,
  again: readonly JudgedAgain[],
  draft: Policy | undefined,
  inForce: Policy,
): readonly MissingEntry[] {
  const wanted = again.flatMap((judged) => {
    const shown = draft === undefined ? judged.now : judged.draft
    if (shown === undefined || shown === 'unknown' || shown.effect === 'allow') return []
    const found = ENTRIES[shown.code]?.(call)
    return found?.entry === undefined ? [] : [{ ...found, entry: found.entry }]
  })
  if (wanted.length === 0) return []
  const read = readPolicy(draft ?? inForce)
  return wanted.map((missing) => {
    const nearest = nearestEntry(read, missing.guard, missing.entry)
    const [judgedEntry] = judgeEntries(missing.list, [missing.entry], [], false).entries
    return {
      ...missing,
      ...(judgedEntry?.verdict === 'refused' && { refused: judgedEntry.message }),
      ...(nearest && { nearest: viewOfNearest(nearest) }),
    }
  })
}

const viewOfNearest = ({ entry, text }: EntryComparison): MissingEntry['nearest'] => ({
  entry: typeof entry === 'string' ? entry : entry.exact,
  text,
})
