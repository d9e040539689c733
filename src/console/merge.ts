import { isDeepStrictEqual } from 'node:util'

/** The merged edits of two people. */
export interface Merged {
  /** Both edits; if both changed one member, mine. */
  readonly merged: object
  /** Members that both have changed to different values: `serverOnly.mode`. */
  readonly conflicts: readonly string[]
}

type Members = Readonly<Record<string, unknown>>

/**
 * Merges the edits of two people to one policy. Lists are sets: entries that either added are in, entries that either removed are
 * out, and lists never conflict. Other members conflict if both changed them to different values.
 */
export function mergePolicies(base: object, theirs: object, mine: object): Merged {
  const conflicts: string[] = []
  const merged = mergeMembers(base as Members, theirs as Members, mine as Members, '', conflicts)
  return { merged, conflicts }
}

function mergeMembers(
  base: Members,
  theirs: Members,
  mine: Members,
  path: string,
  conflicts: string[],
): Members {
  const names = new Set([...Object.keys(theirs), ...Object.keys(mine)])
  const merged: [string, unknown][] = []
  for (const name of names) {
    const where = path === '' ? name : `${path}.${name}`
    const value = mergeValue(own(base, name), own(theirs, name), own(mine, name), where, conflicts)
    if (value !== undefined) merged.push([name, value])
  }
  return Object.fromEntries(merged)
}

function mergeValue(
  base: unknown,
  theirs: unknown,
  mine: unknown,
  path: string,
  conflicts: string[],
): unknown {
  if (isDeepStrictEqual(theirs, mine) || isDeepStrictEqual(base, theirs)) return mine
  if (isDeepStrictEqual(base, mine)) return theirs
  if (Array.isArray(theirs) && Array.isArray(mine))
    return mergeLists(Array.isArray(base) ? base : [], theirs, mine)
  if (isMembers(theirs) && isMembers(mine))
    return mergeMembers(isMembers(base) ? base : {}, theirs, mine, path, conflicts)
  conflicts.push(path)
  return mine
}

function mergeLists(
  base: readonly unknown[],
  theirs: readonly unknown[],
  mine: readonly unknown[],
): unknown[] {
  const [before, others] = [keysOf(base), keysOf(theirs)]
  const own = keysOf(mine)
  const kept = mine.filter((entry) => !before.has(keyOf(entry)) || others.has(keyOf(entry)))
  const added = theirs.filter((entry) => !before.has(keyOf(entry)) && !own.has(keyOf(entry)))
  return [...kept, ...added]
}

const keyOf = (entry: unknown): string => JSON.stringify(entry)
const keysOf = (entries: readonly unknown[]): ReadonlySet<string> => new Set(entries.map(keyOf))
const own = (members: Members, name: string): unknown =>
  Object.hasOwn(members, name) ? members[name] : undefined

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
