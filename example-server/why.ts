import type { RequestHandler } from 'express'
import { hasToken } from './operator.ts'
import { sendProblem } from './problems.ts'
import type { Refusals } from './refusals.ts'

/**
 * Shows a developer why the last request was refused, and what the policy says. Only for development. Details of a
 * policy are for operators, so the request needs the token that each start creates and prints.
 */
export const lastRefusal =
  ({ last }: Refusals, token: string): RequestHandler =>
  (req, res) => {
    if (!hasToken(req, token)) {
      sendProblem(req, res, 'TOKEN_INVALID')
      return
    }
    res.type('json').send(`${JSON.stringify(last() ?? { refused: 'nothing yet' }, null, 2)}\n`)
  }
