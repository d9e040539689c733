import { ConsoleProblem } from './problems.ts'

/**
 * The number of rows on a page: the parameter `limit`.
 *
 * @throws ConsoleProblem
 */
export function pageLimit(query: URLSearchParams, usual: number): number {
  return numberIn(query, 'limit', usual, 200)
}

/**
 * A whole number from 1 to `most` in the query.
 *
 * @throws ConsoleProblem
 */
export function numberIn<Usual extends number | undefined>(
  query: URLSearchParams,
  name: string,
  usual: Usual,
  most: number = Number.MAX_SAFE_INTEGER - 1,
): number | Usual {
  const given = query.get(name)
  if (given === null) return usual
  const number = /^\d{1,16}$/.test(given) ? Number(given) : 0
  if (number < 1 || number > most)
    throw new ConsoleProblem('REQUEST_INVALID', {
      detail: `\`${name}\` must be a whole number from 1 to ${most}`,
    })
  return number
}
