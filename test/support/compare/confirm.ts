import {
  comparePolicies,
  type PolicyComparison,
  type PolicyInput,
  type RequestDescription,
  type Witness,
} from 'portcullis'
import type { Decision, GuardName } from '../../../src/decision.ts'
import { decisionsOf } from '../../../src/explain/explain.ts'
import { namedSets } from '../../../src/explain/named-sets.ts'
import { signed } from '../../../src/explain/signed.ts'
import { requestLike } from '../../../src/explain/description.ts'
import { decideDomainProtect } from '../../../src/guards/domain-protect.ts'
import { NodeFacts } from '../../../src/http/request/facts.ts'
import { compilePolicy, type CompiledPolicy } from '../../../src/policy/compile.ts'
import { DEFAULT_METHODS, type CorsSettings } from '../../../src/policy/cors.ts'
import { readPolicy } from '../../../src/policy/parse.ts'
import { GUARD_NAMES } from '../../../src/policy/sections.ts'
import { NOW, type Lists, type Pair } from './pairs.ts'

/** Counts what was checked, to detect a proof that missed a kind of request. */
export interface Tally {
  readonly verdicts: Record<string, number>
  readonly witnesses: Record<string, number>
  /** Requests that a guard judges differently by the two policies. */
  readonly differing: Record<string, number>
  requests: number
}

export function newTally(): Tally {
  return { verdicts: {}, witnesses: {}, differing: {}, requests: 0 }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

/** The compiled policy for guards; `undefined` for an app that does not exist. */
function compiled(policy: PolicyInput | undefined, lists: Lists): CompiledPolicy | undefined {
  return policy && compilePolicy(readPolicy(policy), namedSets(lists))
}

type Answers = ReadonlyMap<GuardName, boolean>

/** Whether each guard lets a request pass by its own decision. Guards that are not asked are missing. */
function answers(policy: CompiledPolicy | undefined, request: RequestDescription): Answers | undefined {
  if (policy === undefined) return undefined
  const byGuard = new Map<GuardName, boolean>()
  for (const decision of decisionsOf(policy, { ...request, now: request.now ?? NOW }))
    if (!byGuard.has(decision.guard)) byGuard.set(decision.guard, letsPass(decision))
  return byGuard
}

function letsPass({ effect, mode }: Decision): boolean {
  return effect === 'allow' || mode !== 'enforce'
}

/** The CORS grants for a page that sends a request, as comparable texts; `undefined` if the guard grants nothing. */
function grantsOf(policy: CompiledPolicy | undefined, request: RequestDescription): Grants | undefined {
  if (policy?.domainProtect?.mode !== 'enforce') return undefined
  const { outcome } = decideDomainProtect(policy, new NodeFacts(requestLike(request)))
  return outcome && grantsIn(outcome.settings)
}

interface Grants {
  readonly credentials: boolean
  readonly methods: ReadonlySet<string>
  /** `undefined`: all requested headers. */
  readonly headers: ReadonlySet<string> | undefined
  readonly exposed: ReadonlySet<string>
  readonly maxAge: number
}

function grantsIn({ credentials, methods, headers, exposedHeaders, maxAge }: CorsSettings): Grants {
  return {
    credentials: credentials === true,
    methods: new Set(methods ?? DEFAULT_METHODS),
    headers: headers && new Set(headers),
    exposed: new Set(exposedHeaders),
    maxAge: maxAge ?? 5,
  }
}

function grantsMore(one: Grants, other: Grants): boolean {
  const lacks = (set: ReadonlySet<string>, whole: ReadonlySet<string>): boolean =>
    [...set].some((name) => !whole.has(name))
  return (
    (one.credentials && !other.credentials) ||
    lacks(one.methods, other.methods) ||
    (other.headers !== undefined && (one.headers === undefined || lacks(one.headers, other.headers))) ||
    lacks(one.exposed, other.exposed) ||
    one.maxAge > other.maxAge
  )
}

const TURNED = { equal: 'equal', narrower: 'wider', wider: 'narrower', both: 'both' } as const

/** All contradictions between the comparison of a pair and the guards. */
export function contradictions(pair: Pair, requests: readonly RequestDescription[], tally: Tally): string[] {
  const { before, after, lists } = pair
  const comparison = comparePolicies(before, after, { lists, now: NOW })
  const turned = comparePolicies(after, before, { lists: [lists[1], lists[0]], now: NOW })
  const policies = [compiled(before, lists[0]), compiled(after, lists[1])] as const
  return [
    ...(turned.verdict === TURNED[comparison.verdict]
      ? []
      : [`${comparison.verdict} turned is ${turned.verdict}`]),
    ...GUARD_NAMES.flatMap((guard) => aboutProtection(guard, comparison, turned, policies, tally)),
    ...requests.flatMap((request) => aboutRequest(request, comparison, policies, tally)),
  ]
}

type Policies = readonly [before: CompiledPolicy | undefined, after: CompiledPolicy | undefined]

function aboutProtection(
  guard: GuardName,
  comparison: PolicyComparison,
  turned: PolicyComparison,
  [before, after]: Policies,
  tally: Tally,
): string[] {
  const { verdict, gained, lost } = comparison.protections[guard]
  count(tally.verdicts, `${guard} ${verdict}`)
  const has = [gained !== undefined, lost !== undefined].join()
  const fits = { equal: 'false,false', narrower: 'false,true', wider: 'true,false', both: 'true,true' }[
    verdict
  ]
  return [
    ...(has === fits ? [] : [`${guard}: ${verdict} with witnesses ${has}`]),
    ...(turned.protections[guard].verdict === TURNED[verdict]
      ? []
      : [`${guard}: ${verdict} turned is another`]),
    ...(gained === undefined ? [] : aboutWitness(gained, before, after, tally)),
    ...(lost === undefined ? [] : aboutWitness(lost, after, before, tally)),
  ]
}

/** Checks that the guard refuses the request by one policy and lets it pass by the other. */
function aboutWitness(
  witness: Witness,
  refusing: CompiledPolicy | undefined,
  passing: CompiledPolicy | undefined,
  tally: Tally,
): string[] {
  const { guard, path, request, grant, sentence } = witness
  count(tally.witnesses, grant === undefined ? path : `${path} (grant)`)
  if (grant !== undefined) {
    const [less, more] = [grantsOf(refusing, request), grantsOf(passing, request)]
    const holds = less !== undefined && more !== undefined && grantsMore(more, less)
    return holds ? [] : [`not confirmed: ${sentence}`]
  }
  const had = answers(refusing, request)
  const refuses = had === undefined || had.get(guard) === false
  const passes = answers(passing, request)?.get(guard) === true
  return refuses && passes ? [] : [`not confirmed: ${sentence} (${JSON.stringify(request)})`]
}

function aboutRequest(
  request: RequestDescription,
  { verdict, protections }: PolicyComparison,
  [before, after]: Policies,
  tally: Tally,
): string[] {
  tally.requests += 1
  // Signed once for both.
  const { signature: _signed, ...sent } = signed({ ...request, now: NOW })
  const [had, has] = [answers(before, sent), answers(after, sent)]
  const told = (guard: GuardName, what: string): string =>
    `${guard}: ${what}, and the verdict is ${protections[guard].verdict}: ${JSON.stringify(request)}`
  const found = GUARD_NAMES.flatMap((guard) => {
    const asked = had?.has(guard) === true || has?.has(guard) === true
    const [passed, passes] = [had?.get(guard) === true, has?.get(guard) === true]
    if (!asked || passed === passes) return []
    count(tally.differing, guard)
    const { gained, lost } = protections[guard]
    return (passes ? gained : lost) === undefined
      ? [told(guard, passes ? 'it passes more' : 'it passes less')]
      : []
  })
  const [less, more] = [grantsOf(before, sent), grantsOf(after, sent)]
  if (less !== undefined && more !== undefined) {
    const { gained, lost } = protections.domainProtect
    if (grantsMore(more, less) && gained === undefined) found.push(told('domainProtect', 'it grants more'))
    if (grantsMore(less, more) && lost === undefined) found.push(told('domainProtect', 'it grants less'))
  }
  const all = (answered: Answers | undefined): boolean =>
    answered !== undefined && ![...answered.values()].includes(false)
  const [passed, passes] = [all(had), all(has)]
  if (passes && !passed && (verdict === 'equal' || verdict === 'narrower'))
    found.push(`as a whole: it passes more`)
  if (passed && !passes && (verdict === 'equal' || verdict === 'wider'))
    found.push(`as a whole: it passes less`)
  return found
}
