import { createHash } from 'node:crypto'

/** What each matcher was made from, as a digest: the texts may be long, and are not needed otherwise. */
const madeFrom = new WeakMap<object, string>()

/** The matcher from before if its entries are still the same; otherwise a new one. */
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
