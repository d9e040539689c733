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
 * How the second of two policy documents stands to the first: `equal`, `narrower`, `wider`, or `both` where it lets something
 * pass that the first refuses and the other way round. Exact, for each protection as `protect` mounts it and, as a whole, for
 * whichever of the guards a server mounts; with the smallest request that changes hands on each side.
 *
 * `undefined` stands for an app that does not exist. Pure but for the clock; linear in the number of entries.
 *
 * @throws PolicyError when one of the documents is refused.
 * @throws ConfigError when a policy that enforces names lists, and `lists` is left out.
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
 * As {@link comparePolicies}, with the named lists of a store, and in slices: the process does what else is due, however long the
 * lists are. Rejects with what `lists` rejects with.
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

/** The names of the lists that count. */
function listsOf(document: unknown): readonly string[] {
  const section = document === undefined ? undefined : readPolicy(document).policy.ipWhitelist
  return section?.mode === 'enforce' ? [...section.lists, ...(section.denyLists ?? [])] : []
}

/** Reads named lists as a whole. */
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
