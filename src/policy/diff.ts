import { readPolicy } from './parse.ts'
import type { Policy } from './policy.ts'

/** One difference between two policies. */
export interface PolicyChange {
  /** The path: `ipWhitelist.ranges`, or the name of a section if the whole section was added or removed. */
  readonly path: string
  /** The old value, or the entries that were removed from a list. */
  readonly removed: readonly unknown[]
  /** The new value, or the entries that were added to a list. */
  readonly added: readonly unknown[]
}

/**
 * Returns the changes from one policy document to another, in the order of the document. Empty if they mean the same. The
 * order of a list has no meaning and is ignored. `undefined` means an app that does not exist.
 *
 * @throws PolicyError if one of the documents is invalid.
 */
export function diffPolicies(before: unknown, after: unknown): PolicyChange[] {
  const [old, young] = [before, after].map((document) =>
    document === undefined ? undefined : readPolicy(document).policy,
  )
  return differencesOf(old, young)
}

/** Like {@link diffPolicies}, for policies that have been read. */
export function differencesOf(before: Policy | undefined, after: Policy | undefined): PolicyChange[] {
  const [old, young] = [before, after].map((policy) => policy ?? (Object.create(null) as object)) as [
    object,
    object,
  ]
  return membersOf(old, young).flatMap((path) => differences(path, valueOf(old, path), valueOf(young, path)))
}

function differences(path: string, before: unknown, after: unknown): PolicyChange[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    const [had, has] = [keyed(before), keyed(after)]
    const removed = [...had].filter(([key]) => !has.has(key)).map(([, entry]) => entry)
    const added = [...has].filter(([key]) => !had.has(key)).map(([, entry]) => entry)
    return removed.length + added.length === 0 ? [] : [{ path, removed, added }]
  }
  if (isSection(before) && isSection(after)) {
    return membersOf(before, after).flatMap((name) =>
      differences(`${path}.${name}`, valueOf(before, name), valueOf(after, name)),
    )
  }
  if (before === after) return []
  const present = (value: unknown): unknown[] => (value === undefined ? [] : [value])
  return [{ path, removed: present(before), added: present(after) }]
}

function keyed(entries: readonly unknown[]): Map<string, unknown> {
  return new Map(entries.map((entry) => [typeof entry === 'string' ? entry : JSON.stringify(entry), entry]))
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function membersOf(before: object, after: object): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
}

function valueOf(object: object, name: string): unknown {
  return (object as Record<string, unknown>)[name]
}
