import { isPortcullisError } from '../errors.ts'
import { compareStoredPolicies } from '../explain/compare-policies.ts'
import type { Policy } from '../policy/policy.ts'
import { GUARD_NAMES } from '../policy/sections.ts'
import type { ConsoleRight, Review, Verdict } from './contract.ts'
import type { Desk } from './desk.ts'

/** What callers gain and lose if one policy replaces another or none, with the named lists of the store. */
export async function verdictOf(
  { store, now }: Desk,
  before: Policy | undefined,
  after: Policy,
): Promise<Verdict> {
  const { readList } = store
  const lists = readList && ((name: string) => readList.call(store, name))
  try {
    const { verdict, protections } = await compareStoredPolicies(before, after, { lists, now: now() })
    const witnesses = GUARD_NAMES.flatMap((name) => [protections[name].gained, protections[name].lost])
    const given = before === undefined ? [] : givenAway(before, after)
    return {
      narrows: verdict === 'narrower' || verdict === 'both',
      widens: verdict === 'wider' || verdict === 'both' || given.length > 0,
      sentences: [
        ...new Set([
          ...witnesses.flatMap((witness) => (witness === undefined ? [] : [witness.sentence])),
          ...given,
        ]),
      ],
    }
  } catch (error) {
    // The policy names lists, but this store has no lists.
    if (isPortcullisError(error) && error.code === 'CONFIG_INVALID')
      return { narrows: 'unknown', widens: 'unknown', sentences: [] }
    throw error
  }
}

/**
 * What an app loses even if it admits no more requests, in sentences. Such a change needs the right `widen`. Otherwise `narrow`
 * would be enough to read personal data without a record, or to let a page read responses with cookies.
 */
function givenAway(before: Policy, after: Policy): string[] {
  const sentences: string[] = []
  const [audit, cors] = [after.auditAccess, after.domainProtect]
  if (audit?.mode === 'off' && before.auditAccess?.mode !== 'off')
    sentences.push('requests and reads of personal data are no longer recorded')
  const enforced = before.domainProtect?.mode === 'enforce'
  if (cors?.mode === 'enforce' && cors.credentials === true && !enforced)
    sentences.push('pages of the domains may read responses to requests with cookies')
  return sentences
}

/** The rights that are missing to publish a change with this verdict. An unknown verdict needs both rights. */
export function missingRights(
  { narrows, widens }: Verdict,
  rights: ReadonlySet<ConsoleRight>,
): ConsoleRight[] {
  const needed: ConsoleRight[] = [
    ...(narrows === false ? [] : (['narrow'] as const)),
    ...(widens === false ? [] : (['widen'] as const)),
  ]
  // Even a change that affects no request, such as of the name, needs a right.
  if (needed.length === 0 && !rights.has('widen')) needed.push('narrow')
  return needed.filter((right) => !rights.has(right))
}

/** The named lists that a policy names and the store does not have. */
export async function missingListsOf(
  { store }: Desk,
  { ipWhitelist }: Policy,
): Promise<Review['missingLists']> {
  const { lists = [], denyLists = [] } = ipWhitelist ?? {}
  if (store.lists === undefined || lists.length + denyLists.length === 0) return []
  const known = new Set((await store.lists()).map(({ name }) => name))
  return [
    ...lists.map((name) => ({ name, refuses: false })),
    ...denyLists.map((name) => ({ name, refuses: true })),
  ].filter(({ name }) => !known.has(name))
}
