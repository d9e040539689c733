import { ConsoleProblem } from './problems.ts'
import type { Exchange } from './route.ts'

/** The entity tag of a revision. */
export const tagOf = (revision: number): string => `"${revision}"`

/**
 * The revision in `If-Match`.
 *
 * @throws ConsoleProblem
 */
export function revisionToMatch({ req }: Pick<Exchange, 'req'>): number {
  const given = req.headers['if-match']
  if (given === undefined) throw new ConsoleProblem('REVISION_REQUIRED')
  const digits = /^"(\d{1,15})"$/.exec(given)?.[1]
  if (digits === undefined)
    throw new ConsoleProblem('REQUEST_INVALID', { detail: '`If-Match` must name one revision, as `"12"`' })
  return Number(digits)
}
