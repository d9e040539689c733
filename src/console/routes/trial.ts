import { explain } from '../../explain/explain.ts'
import { readLists } from '../../explain/compare-policies.ts'
import type { ListContents } from '../../policy/compare/compare.ts'
import type { Policy } from '../../policy/policy.ts'
import { triedRequest } from '../../policy/expectation-schema.ts'
import type { TrialView, TriedRequest } from '../contract.ts'
import { findApp, type Desk } from '../desk.ts'
import { route, type Route } from '../route.ts'

export function trialRoutes(desk: Desk): Route[] {
  return [
    route<TriedRequest>({
      method: 'POST',
      path: '/apps/:appId/trial',
      access: ['look'],
      summary:
        'What the guards would decide about a request, with the policy in force and with the draft. Nothing is sent, and nothing changes.',
      body: triedRequest,
      async handle({ params: { appId = '' }, body }) {
        const { stored, policy } = await findApp(desk, appId)
        const draft = (await desk.drafts.find(appId))?.policy
        const lists = await listsOf(desk, draft === undefined ? [policy] : [policy, draft])
        const request = { ...body, keys: stored.keys, lists, now: desk.now() }
        const view: TrialView = {
          inForce: explain(policy, request),
          draft: draft && explain(draft, request),
        }
        return { body: view }
      },
    }),
  ]
}

/** The named lists that the policies refer to. */
async function listsOf({ store }: Desk, policies: readonly Policy[]): Promise<ListContents> {
  const { readList } = store
  if (readList === undefined) return new Map()
  const names = policies.flatMap(({ ipWhitelist }) => [
    ...(ipWhitelist?.lists ?? []),
    ...(ipWhitelist?.denyLists ?? []),
  ])
  return readLists(names, (name) => readList.call(store, name))
}
