import { judgedSealer } from '../../audit/judged-facts.ts'
import type { OperationEvent } from '../../audit/event.ts'
import { callOf, openKept } from '../../explain/recorded-facts.ts'
import type { KeyCaller, KeyCallersView, KeyUse, KeyUsesView } from '../contract.ts'
import { findApp, type Desk } from '../desk.ts'
import { recentRequests } from '../recorded.ts'
import { route, type Route } from '../route.ts'

/** How many callers of a key are listed. */
const MOST_CALLERS = 50

/** How often each key is used, according to the audit: a rotation can end when nobody signs with the old key. */
export function keyUseRoutes(desk: Desk): Route[] {
  return [
    route({
      method: 'GET',
      path: '/apps/:appId/key-uses',
      access: ['look'],
      summary: 'How many requests of the last seven days each key has signed. Contains only counts.',
      async handle({ params: { appId = '' } }) {
        await findApp(desk, appId)
        const { requests, isComplete } = await recentRequests(desk, appId)
        const uses = new Map<string, KeyUse>()
        for (const request of requests) {
          const id = keyOf(request)
          if (id === undefined) continue
          // Newest first, so the first request seen is the last use.
          const { calls, lastUse } = uses.get(id) ?? { calls: 0, lastUse: request.time }
          uses.set(id, { id, calls: calls + 1, lastUse })
        }
        const body: KeyUsesView = { uses: [...uses.values()], isComplete }
        return { body }
      },
    }),
    route({
      method: 'GET',
      path: '/apps/:appId/keys/:keyId/callers',
      access: ['look-at-personal-data'],
      personal: true,
      summary:
        'The callers that have signed with a key in the last seven days, by address and operation. An address is a pseudonym if the console has no `judgedKey`.',
      async handle({ params: { appId = '', keyId = '' } }) {
        await findApp(desk, appId)
        const { requests, isComplete } = await recentRequests(desk, appId)
        const own = requests.filter((request) => keyOf(request) === keyId)
        const body: KeyCallersView = { callers: callersOf(desk, own), isComplete }
        return { body }
      },
    }),
  ]
}

/** The key that signed a request, if its signature was valid. */
function keyOf({ decisions }: OperationEvent): string | undefined {
  const evidence = decisions.find(
    ({ guard, effect }) => guard === 'serverOnly' && effect === 'allow',
  )?.evidence
  return typeof evidence?.['keyId'] === 'string' ? evidence['keyId'] : undefined
}

function callersOf({ judgedKey }: Desk, requests: readonly OperationEvent[]): readonly KeyCaller[] {
  const sealer = judgedKey === undefined ? undefined : judgedSealer(judgedKey)
  const callers = new Map<string, KeyCaller>()
  for (const request of requests) {
    const kept = sealer === undefined ? 'sealed' : openKept(request, sealer)
    const opened = typeof kept === 'string' ? undefined : callOf(kept).address
    const address = opened ?? request.address
    const name = JSON.stringify([address, request.operation])
    const { calls, lastUse } = callers.get(name) ?? { calls: 0, lastUse: request.time }
    const { operation } = request
    callers.set(name, { address, isPseudonym: opened === undefined, operation, calls: calls + 1, lastUse })
  }
  return [...callers.values()].toSorted((a, b) => b.calls - a.calls).slice(0, MOST_CALLERS)
}
