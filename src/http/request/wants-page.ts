import type { NodeFacts } from './facts.ts'

/** Whether a request may be the navigation to a page: false if `Sec-Fetch-Mode`, or an `Accept` without HTML, says otherwise. */
export function wantsPage(facts: Pick<NodeFacts, 'fetchMode' | 'lines'>): boolean {
  const mode = facts.fetchMode
  if (mode !== undefined) return mode === 'navigate'
  const accepted = facts.lines('accept')
  return accepted.length === 0 || accepted.some((value) => /(?:text\/html|text\/\*|\*\/\*)/i.test(value))
}
