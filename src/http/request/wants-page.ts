import type { NodeFacts } from './facts.ts'

/**
 * Whether a request may be that of a page: false where it says that it wants something else, by `Sec-Fetch-Mode`, or by an `Accept`
 * without HTML.
 */
export function wantsPage(facts: Pick<NodeFacts, 'fetchMode' | 'lines'>): boolean {
  const mode = facts.fetchMode
  if (mode !== undefined) return mode === 'navigate'
  const accepted = facts.lines('accept')
  return accepted.length === 0 || accepted.some((value) => /(?:text\/html|text\/\*|\*\/\*)/i.test(value))
}
