import { Router } from 'express'
import { visitOf } from '../visits.ts'
import { createDesk, type EntryParts } from './desk.ts'
import { addReset } from './reset.ts'
import { addSecondFactor } from './second-factor.ts'
import { addSignIn } from './sign-in.ts'
import { addSignUp } from './sign-up.ts'

/** The ways in: sign-in, sign-up, reset, second factor; and the way out. Mounted by the gateway and by the account. */
export function createEntry(parts: EntryParts): Router {
  const router = Router({ mergeParams: true })
  const desk = createDesk(parts)
  addSignIn(router, desk)
  addSignUp(router, desk)
  addReset(router, desk)
  addSecondFactor(router, desk)
  router.post('/sign-out', async (req, res) => {
    await parts.sessions.leave(req, res)
    res.redirect(303, `${visitOf(req)?.base}/sign-in`)
  })
  return router
}
