import type { ConsoleRight, Verdict } from './contract.ts'

/** What publishing means for those who call. */
export function verdictOf(_before: unknown, _after: unknown): Verdict {
  return { narrows: 'unknown', widens: 'unknown', sentences: [] }
}

/** The rights that are missing to publish a change with this verdict. What could not be told asks for both. */
export function missingRights(
  { narrows, widens }: Verdict,
  rights: ReadonlySet<ConsoleRight>,
): ConsoleRight[] {
  const needed: ConsoleRight[] = [
    ...(narrows === false ? [] : (['narrow'] as const)),
    ...(widens === false ? [] : (['widen'] as const)),
  ]
  // A change of nothing but a name still needs somebody who may change something.
  if (needed.length === 0 && !rights.has('widen')) needed.push('narrow')
  return needed.filter((right) => !rights.has(right))
}
