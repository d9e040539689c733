import { createHash, timingSafeEqual } from 'node:crypto'
import { json, Router, type Request } from 'express'
import { z } from 'zod'
import type { Log } from './log.ts'
import type { People } from './people.ts'
import { sendProblem } from './problems.ts'
import type { Sessions } from './sessions.ts'

export interface OperatorParts {
  readonly people: Pick<People, 'findByEmail'>
  readonly sessions: Pick<Sessions, 'endAll' | 'endAllOf'>
  readonly log: Log
  /** The bearer token that identifies the operator. */
  readonly token: string
}

const RULE = 'an object with only email, or only all: true'
const WHOSE = z.union(
  [z.strictObject({ email: z.string().max(254) }), z.strictObject({ all: z.literal(true) })],
  RULE,
)

/** Lets an operator end the sessions of people: `POST /operator/end-sessions`. */
export function createOperator({ people, sessions, log, token }: OperatorParts): Router {
  const router = Router()
  router.post(
    '/end-sessions',
    (req, res, next) => (hasToken(req, token) ? next() : sendProblem(req, res, 'TOKEN_INVALID')),
    json({ limit: 1_024 }),
    async (req, res) => {
      const given = WHOSE.safeParse(req.body)
      if (!given.success) {
        sendProblem(req, res, 'INVALID_REQUEST', [{ path: '', message: RULE }])
        return
      }
      if ('all' in given.data) await sessions.endAll()
      else {
        const account = await people.findByEmail(given.data.email)
        if (account === undefined) {
          sendProblem(req, res, 'NOT_FOUND')
          return
        }
        await sessions.endAllOf(account.person.id)
      }
      log('sessions ended', { by: 'operator', of: 'all' in given.data ? 'everybody' : 'one person' })
      res.status(204).end()
    },
  )
  return router
}

/** Compares digests, so the time does not reveal how much of the token is right. */
export function hasToken(req: Request, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(req.get('authorization') ?? '')?.[1] ?? ''
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(given), hash(token))
}
