import { ConfigError } from '../../errors.ts'
import {
  compileJurisdictions,
  DEFAULT_JURISDICTIONS,
  isJurisdictionName,
  type Jurisdiction,
  type Jurisdictions,
} from '../../jurisdiction/jurisdictions.ts'
import type { ListEntry } from '../../list/entry.ts'
import { NO_ADDRESS, type IpIntervals } from '../../match/ip-intervals.ts'
import { differencesOf, type PolicyChange } from '../diff.ts'
import { readPolicy, type ReadPolicy } from '../parse.ts'
import type { Protection } from '../section.ts'
import { GUARD_NAMES, RULES, type GuardName } from '../sections.ts'
import { addressesOf } from './addresses.ts'
import type { Comparing, Gain, SectionComparison, Side, Verdict, WitnessRequest } from './side.ts'

export type { Verdict }

/** The smallest request that one of two policies allows and the other does not. */
export interface Witness {
  readonly guard: GuardName
  /** The member that decides: `ipWhitelist.ranges`, or the name of the section if the whole section was added or removed. */
  readonly path: string
  /** A request for `explain`. The two policies decide it differently. */
  readonly request: WitnessRequest
  /** What pages may do, as a phrase that follows "may". Left out: the request itself passes. */
  readonly grant?: string | undefined
  /** `198.51.100.7 was refused and would pass`. */
  readonly sentence: string
}

/** The comparison of a protection in two policies. */
export interface ProtectionComparison {
  readonly verdict: Verdict
  /** A request that was refused and would pass. Left out if there is no such request. */
  readonly gained?: Witness | undefined
  /** A request that passed and would be refused. Left out if there is no such request. */
  readonly lost?: Witness | undefined
}

/** The comparison of two policies. Plain data. */
export interface PolicyComparison extends ProtectionComparison {
  readonly sentence: string
  readonly protections: Readonly<Record<GuardName, ProtectionComparison>>
  /** All differences between the documents, as `diffPolicies` returns them, including those that do not affect who passes. */
  readonly changes: readonly PolicyChange[]
}

/** The contents of named lists, by name. A list that is not in the map does not exist. */
export type ListContents = ReadonlyMap<string, readonly ListEntry[]>

export interface ComparisonOptions {
  /**
   * The contents of the named lists: one map for both policies, or one for each. Required if a policy names lists in an
   * `ipWhitelist` section that enforces. A list that is not in the map does not exist.
   */
  readonly lists?: ListContents | readonly [before: ListContents, after: ListContents] | undefined
  /** The time of the comparison, in milliseconds since the epoch. List entries that have expired by then are ignored. */
  readonly now?: number | undefined
  /** Like the option of `regionPin`. Default: `DEFAULT_JURISDICTIONS`. */
  readonly jurisdictions?: Jurisdictions | undefined
}

/**
 * Compares two policy documents in steps of well below a millisecond. The time of a step does not depend on the size of the
 * policies. `undefined` means an app that does not exist.
 */
export function* comparisonSteps(
  before: unknown,
  after: unknown,
  options: ComparisonOptions & { readonly now: number },
): Generator<void, PolicyComparison> {
  const read = [before, after].map((document) =>
    document === undefined ? undefined : readPolicy(document),
  ) as [ReadPolicy | undefined, ReadPolicy | undefined]
  const comparing = comparingBy(options.jurisdictions, read)
  const addresses = [
    yield* addressesIn(read[0], listsOf(options, 0), options.now),
    yield* addressesIn(read[1], listsOf(options, 1), options.now),
  ] as const
  const protections: [GuardName, ProtectionComparison][] = []
  for (const name of GUARD_NAMES) {
    const [from, to] = [sideOf(name, read[0], addresses[0]), sideOf(name, read[1], addresses[1])]
    const { compare }: { compare: SectionComparison<Protection> } = RULES[name]
    const gained = yield* stepsOf(compare.gains(from, to, comparing))
    const lost = yield* stepsOf(compare.gains(to, from, comparing))
    protections.push([
      name,
      {
        verdict: verdictOf(gained, lost),
        ...(gained !== undefined && { gained: witnessOf(name, gained, true) }),
        ...(lost !== undefined && { lost: witnessOf(name, lost, false) }),
      },
    ])
  }
  const changes = differencesOf(read[0]?.policy, read[1]?.policy)
  const [gained, lost] = (['gained', 'lost'] as const).map((side) =>
    protections.map(([, protection]) => protection[side]).find((witness) => witness !== undefined),
  )
  const verdict = verdictOf(gained, lost)
  return {
    verdict,
    sentence: sentenceOf(verdict, gained, lost, changes),
    ...(gained !== undefined && { gained }),
    ...(lost !== undefined && { lost }),
    protections: Object.fromEntries(protections) as PolicyComparison['protections'],
    changes,
  }
}

function* stepsOf(
  gains: ReturnType<SectionComparison<Protection>['gains']>,
): Generator<void, Gain | undefined> {
  return gains !== undefined && 'next' in gains ? yield* gains : gains
}

function sideOf(name: GuardName, read: ReadPolicy | undefined, addresses: IpIntervals): Side<Protection> {
  const serverOnlyEnforces = read?.policy.serverOnly?.mode === 'enforce'
  return { section: read?.policy[name], lists: read?.lists[name] ?? {}, serverOnlyEnforces, addresses }
}

function verdictOf(gained: object | undefined, lost: object | undefined): Verdict {
  if (gained === undefined) return lost === undefined ? 'equal' : 'narrower'
  return lost === undefined ? 'wider' : 'both'
}

function witnessOf(guard: GuardName, { member, request, subject, grant }: Gain, isGained: boolean): Witness {
  const path = member === '' ? guard : `${guard}.${member}`
  if (grant === undefined) {
    const sentence = `${subject} ${isGained ? 'was refused and would pass' : 'passed and would be refused'}`
    return { guard, path, request, sentence }
  }
  const sentence = `${subject} ${isGained ? 'could not' : 'could'} ${grant}, and ${isGained ? 'could then' : 'could not then'}`
  return { guard, path, request, grant, sentence }
}

const SAYS: Readonly<Record<Verdict, string>> = {
  equal: 'Both policies allow the same requests.',
  narrower: 'The second policy allows fewer requests:',
  wider: 'The second policy allows more requests:',
  both: 'The second policy allows some requests that the first refuses, and the reverse:',
}

function sentenceOf(
  verdict: Verdict,
  gained: Witness | undefined,
  lost: Witness | undefined,
  changes: readonly PolicyChange[],
): string {
  if (verdict === 'equal') {
    if (changes.length === 0) return SAYS.equal
    return `${SAYS.equal} They differ in ${changes.map(({ path }) => `\`${path}\``).join(', ')}.`
  }
  const said = [gained, lost].flatMap((witness) =>
    witness === undefined ? [] : [`${witness.sentence} (\`${witness.path}\`)`],
  )
  return `${SAYS[verdict]} ${said.join('; ')}.`
}

function listsOf({ lists }: ComparisonOptions, side: 0 | 1): ListContents | undefined {
  return Array.isArray(lists) ? (lists as readonly ListContents[])[side] : (lists as ListContents | undefined)
}

function* addressesIn(
  read: ReadPolicy | undefined,
  lists: ListContents | undefined,
  now: number,
): Generator<void, IpIntervals> {
  const section = read?.policy.ipWhitelist
  const entries = read?.lists.ipWhitelist
  if (section?.mode !== 'enforce' || entries === undefined) return NO_ADDRESS
  const [name] = [...section.lists, ...(section.denyLists ?? [])]
  if (name !== undefined && lists === undefined) {
    throw new ConfigError(
      'comparePolicies.lists',
      `the contents of the lists that the policies name, such as \`${name}\``,
      undefined,
    )
  }
  return yield* addressesOf(section, entries, (list) => lists?.get(list), now)
}

/**
 * The given jurisdictions. By default, `DEFAULT_JURISDICTIONS`, and another one for each fallback that is not among them,
 * because the names of the server's jurisdictions are not known here.
 */
function comparingBy(given: Jurisdictions | undefined, read: readonly (ReadPolicy | undefined)[]): Comparing {
  const others = read.flatMap((one) => {
    const fallback = one?.policy.regionPin?.fallback
    return fallback === undefined || Object.hasOwn(DEFAULT_JURISDICTIONS, fallback) ? [] : [fallback]
  })
  const named = given ?? (others.length === 0 ? undefined : withOthers(new Set(others)))
  const jurisdictions = compileJurisdictions(named ?? DEFAULT_JURISDICTIONS, 'comparePolicies.jurisdictions')
  return { jurisdictions, namedJurisdictions: named }
}

/** Countries that `DEFAULT_JURISDICTIONS` does not list, one for each of the two policies. */
const ELSEWHERE = ['AQ', 'BV'] as const

function withOthers(names: ReadonlySet<string>): Jurisdictions {
  const others = [...names]
    .filter((name) => isJurisdictionName(name))
    .map((name, index): [string, Jurisdiction] => {
      const country = ELSEWHERE[index] as string
      return [name, { locations: [`somewhere-${index + 1}`], countries: [country] }]
    })
  return Object.fromEntries([...others, ...Object.entries(DEFAULT_JURISDICTIONS)])
}
