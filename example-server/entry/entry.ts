import { Router } from 'express'
import { visitOf } from '../visits.ts'
import { createDesk, type EntryParts } from './desk.ts'
import { addReset } from './reset.ts'
import { addSecondFactor } from './second-factor.ts'
import { addSignIn } from './sign-in.ts'
import { addSignUp } from './sign-up.ts'

/** Sign-in, sign-up, password reset, second factor and sign-out. The gateway and the account both mount it. */
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
