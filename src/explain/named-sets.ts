import { parseInstant } from '../instant.ts'
import type { ListEntry } from '../list/entry.ts'
import { createExpiringIpSetBuilder, type ExpiringIpSet } from '../match/expiring-ip-set.ts'
import type { NamedLists, NamedSet } from '../policy/named-lists.ts'

/** Created once for each list, because many requests are described with the same lists. */
const made = new WeakMap<readonly ListEntry[], ExpiringIpSet>()

/** Named lists, as guards use them. */
export function namedSets(lists: ReadonlyMap<string, readonly ListEntry[]> = new Map()): NamedLists {
  return new Map([...lists].map(([name, entries]) => [name, namedSet(name, entries)]))
}

function namedSet(name: string, entries: readonly ListEntry[]): NamedSet {
  const set = made.get(entries) ?? makeSet(entries)
  made.set(entries, set)
  return { name, exists: true, find: (address, now) => set.find(address, now) }
}

function makeSet(entries: readonly ListEntry[]): ExpiringIpSet {
  const builder = createExpiringIpSetBuilder()
  for (const { range, expires } of entries) {
    // An expiry that cannot be parsed counts as past, so the entry admits no address.
    builder.add(
      range,
      expires === undefined ? undefined : (parseInstant(expires) ?? Number.NEGATIVE_INFINITY),
    )
  }
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
