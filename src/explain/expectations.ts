import { DENIALS, type Decision } from '../decision.ts'
import { didYouMean } from '../did-you-mean.ts'
import { ConfigError, ExpectationBroken, type BrokenExpectation } from '../errors.ts'
import type { Jurisdictions } from '../jurisdiction/jurisdictions.ts'
import { aFunction, checkOptions, type Expectation as OptionRule } from '../options.ts'
import { compilePolicy } from '../policy/compile.ts'
import type { ListContents } from '../policy/compare/compare.ts'
import type { Expectation } from '../policy/expectation.ts'
import { readPolicy, type ReadPolicy } from '../policy/parse.ts'
import type { Policy } from '../policy/policy.ts'
import type { WriteCheck } from '../store/contract.ts'
import type { StoredList } from '../store/list-contract.ts'
import { readLists } from './compare-policies.ts'
import { decisionsOf, passes } from './explain.ts'
import { namedSets } from './named-sets.ts'

/** The result of one expectation of a policy. For operators: it contains details of the policy. */
export interface ExpectationOutcome extends BrokenExpectation {
  readonly holds: boolean
}

export interface ExpectationOptions {
  /**
   * The contents of named lists. Required if a policy has expectations and its `ipWhitelist` names lists. A list that is not
   * in the map does not exist.
   */
  readonly lists?: ListContents | undefined
  /** The time at which the requests are judged, in milliseconds since the epoch. Default now. */
  readonly now?: number | undefined
  /** Like the option of `regionPin`. */
  readonly jurisdictions?: Jurisdictions | undefined
}

/**
 * Checks a policy against its own expectations, in the order of the document, with the same judgement as `explain`. A request
 * passes if no guard in `enforce` refuses it. An expectation with a `code` holds if at least one guard in `enforce` refuses
 * the request with that code.
 *
 * @throws PolicyError if the document is invalid.
 * @throws ConfigError if the contents of lists are required and left out.
 */
export function tryExpectations(document: unknown, options: ExpectationOptions = {}): ExpectationOutcome[] {
  return outcomesOf(readPolicy(document), options, 'tryExpectations')
}

/** The options of a check. The policy itself comes from the write. */
export interface ExpectationCheckOptions extends Omit<ExpectationOptions, 'lists'> {
  /** Reads a named list: `(name) => store.readList(name)`. Required if a policy names lists. */
  readonly lists?: ((name: string) => Promise<StoredList | undefined>) | undefined
}

/**
 * Creates a check for `store.write` and `rollbackPolicy`. A write of a policy that breaks one of its own expectations is
 * refused with `ExpectationBroken`, which contains every failing case.
 *
 * @throws ConfigError
 */
export function checkExpectations(options: ExpectationCheckOptions = {}): WriteCheck {
  const checked = checkOptions<ExpectationCheckOptions>('checkExpectations', options, EXPECTATIONS)
  return async (policy) => {
    const names = listsNeededBy(policy)
    const { lists: read, ...rest } = checked
    const lists = read && (await readLists(names, read))
    const failures = outcomesOf(readPolicy(policy), { ...rest, lists }, 'checkExpectations').filter(
      ({ holds }) => !holds,
    )
    if (failures.length > 0) {
      throw new ExpectationBroken(
        policy.appId,
        failures.map(({ holds: _holds, ...failure }) => failure),
      )
    }
  }
}

const EXPECTATIONS: Readonly<Record<keyof ExpectationCheckOptions, OptionRule>> = {
  lists: aFunction,
  now: { expected: 'milliseconds since the epoch', accepts: Number.isFinite },
  jurisdictions: {
    expected: 'an object',
    accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  },
}

function outcomesOf(read: ReadPolicy, options: ExpectationOptions, caller: string): ExpectationOutcome[] {
  const { policy } = read
  const { lists, now, jurisdictions } = options
  const [needed] = listsNeededBy(policy)
  if (needed !== undefined && lists === undefined) {
    const expected = `the contents of the lists that the policy names, such as \`${needed}\``
    throw new ConfigError(`${caller}.lists`, expected, undefined)
  }
  const compiled = compilePolicy(read, namedSets(lists))
  return (policy.expect ?? []).map((expectation) => {
    const { request, guards } = expectation
    const description = { ...request, now, ...(jurisdictions !== undefined && { jurisdictions }) }
    return outcomeOf(expectation, decisionsOf(compiled, description, guards))
  })
}

/** The lists that the expectations of a policy depend on. */
function listsNeededBy({ expect = [], ipWhitelist }: Policy): readonly string[] {
  const isAsked = expect.some(({ guards }) => guards === undefined || guards.includes('ipWhitelist'))
  if (!isAsked || ipWhitelist === undefined || ipWhitelist.mode === 'off') return []
  return [...ipWhitelist.lists, ...(ipWhitelist.denyLists ?? [])]
}

function outcomeOf(
  { name, request, guards = [], effect, code }: Expectation,
  decisions: readonly Decision[],
): ExpectationOutcome {
  const expected = effect ?? code ?? ''
  const about = { name, expected, request }
  const unasked = guards.find((guard) => !decisions.some((decision) => decision.guard === guard))
  if (unasked !== undefined) {
    const reason = `${unasked} does not judge the request, which lacks the value that this guard needs`
    return { ...about, holds: false, got: 'no answer', reason }
  }
  const refusals = decisions.filter((decision) => decision.effect === 'deny' && decision.mode === 'enforce')
  const told = refusals.find((refusal) => refusal.code === code) ?? refusals[0]
  const got = told?.code ?? 'allow'
  const reason = told === undefined ? unknownCode(code) : `${told.guard}: ${told.detail}${unknownCode(code)}`
  const isAllowed = passes(decisions)
  const holds = code === undefined ? (effect === 'allow') === isAllowed : got === code
  return { ...about, holds, got, reason }
}

/** Adds a hint if the expected code does not exist, because no guard returns it. */
function unknownCode(code: string | undefined): string {
  if (code === undefined || Object.hasOwn(DENIALS, code)) return ''
  const meant = didYouMean(code, Object.keys(DENIALS))
  return `; there is no code ${code}${meant === undefined ? '' : `: did you mean ${meant}?`}`
}
