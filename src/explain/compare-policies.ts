import type { ListEntry } from '../list/entry.ts'
import {
  comparisonSteps,
  type ComparisonOptions,
  type ListContents,
  type PolicyComparison,
} from '../policy/compare/compare.ts'
import { readPolicy } from '../policy/parse.ts'
import { aFunction, checkOptions, type Expectation } from '../options.ts'
import { createSlices } from '../slices.ts'
import type { StoredList } from '../store/list-contract.ts'

/**
 * Compares two policy documents. The verdict is `equal`, `narrower`, `wider`, or `both` if each allows something that the
 * other refuses. The comparison is exact, both for each protection as `protect` mounts it and for the whole policy, whichever
 * guards a server mounts. For each direction, the result has the smallest request that the policies decide differently.
 *
 * `undefined` means an app that does not exist. Pure, apart from the clock. The work is linear in the number of entries.
 *
 * @throws PolicyError if one of the documents is invalid.
 * @throws ConfigError if a policy names lists in an `ipWhitelist` section that enforces, and `lists` is left out.
 */
export function comparePolicies(
  before: unknown,
  after: unknown,
  options: ComparisonOptions = {},
): PolicyComparison {
  const {
    lists,
    now = Date.now(),
    jurisdictions,
  } = checkOptions<ComparisonOptions>('comparePolicies', options, { ...EXPECTATIONS, lists: CONTENTS })
  const steps = comparisonSteps(before, after, { lists, now, jurisdictions })
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

export interface StoredComparisonOptions extends Omit<ComparisonOptions, 'lists'> {
  /** Reads a named list: `(name) => store.readList(name)`. */
  readonly lists?: ((name: string) => Promise<StoredList | undefined>) | undefined
}

/**
 * Like {@link comparePolicies}, with the named lists of a store. Works in slices, so that long lists do not block the
 * process. An error of `lists` is passed on as a rejection.
 */
export async function compareStoredPolicies(
  before: unknown,
  after: unknown,
  options: StoredComparisonOptions = {},
): Promise<PolicyComparison> {
  const {
    lists,
    now = Date.now(),
    jurisdictions,
  } = checkOptions<StoredComparisonOptions>('compareStoredPolicies', options, {
    ...EXPECTATIONS,
    lists: aFunction,
  })
  const contents = lists && (await readLists([before, after].flatMap(listsOf), lists))
  const steps = comparisonSteps(before, after, { lists: contents, now, jurisdictions })
  const slices = createSlices()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (slices.over) await slices.next()
  }
}

const isMap = (value: unknown): boolean => value instanceof Map

const CONTENTS: Expectation = {
  expected: 'a map from names to entries, or one for each of the two policies',
  accepts: (value) => isMap(value) || (Array.isArray(value) && value.length === 2 && value.every(isMap)),
}

const EXPECTATIONS = {
  now: { expected: 'milliseconds since the epoch', accepts: (value: unknown) => Number.isFinite(value) },
  jurisdictions: {
    expected: 'an object',
    accepts: (value: unknown) => typeof value === 'object' && value !== null,
  },
}

/** The names of the lists that affect the comparison. */
function listsOf(document: unknown): readonly string[] {
  const section = document === undefined ? undefined : readPolicy(document).policy.ipWhitelist
  return section?.mode === 'enforce' ? [...section.lists, ...(section.denyLists ?? [])] : []
}

/** Reads the whole contents of named lists. */
export async function readLists(
  names: readonly string[],
  read: (name: string) => Promise<StoredList | undefined>,
): Promise<ListContents> {
  const contents = new Map<string, readonly ListEntry[]>()
  for (const name of new Set(names)) {
    const list = await read(name)
    if (list === undefined) continue
    const entries: ListEntry[] = []
    for await (const chunk of list.chunks()) for (const entry of chunk) entries.push(entry)
    contents.set(name, entries)
  }
  return contents
}
