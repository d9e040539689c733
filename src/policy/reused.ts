import { createHash } from 'node:crypto'

/** A digest of the entries of each matcher. The entries may be long, so they are not kept. */
const madeFrom = new WeakMap<object, string>()

/** Returns the previous matcher if its entries are unchanged, and a new one otherwise. */
export function reused<Matcher extends object>(
  before: Matcher | undefined,
  entries: unknown,
  make: () => Matcher,
): Matcher {
  const source = createHash('sha256').update(JSON.stringify(entries)).digest('base64')
  if (before !== undefined && madeFrom.get(before) === source) return before
  const matcher = make()
  madeFrom.set(matcher, source)
  return matcher
}
