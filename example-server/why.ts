import type { RequestHandler } from 'express'
import { hasToken } from './operator.ts'
import { sendProblem } from './problems.ts'
import type { Refusals } from './refusals.ts'

/**
 * Tells a developer why the last request was refused, with what the policy says. For development alone: details of a policy
 * are for operators, so it asks for a token that is made at each start and printed where the server was started.
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
