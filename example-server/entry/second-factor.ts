import type { Request, Response, Router } from 'express'
import type { EntryDesk } from './desk.ts'
import { secondFactorPage } from '../pages/entry-pages.ts'
import type { Account } from '../people.ts'
import { CODE } from '../profile.ts'
import { afterUse } from '../second-factor.ts'
import { sessionOf, visitOf } from '../visits.ts'

/** The second step of a sign-in. Each code works once. */
export function addSecondFactor(router: Router, desk: EntryDesk): void {
  const { people, devices, limits, log } = desk
  const awaiting = (req: Request): Account => sessionOf(req).awaiting as Account
  const refuse = (req: Request, res: Response): void =>
    desk.again(req, res, secondFactorPage, {
      problem: 'Too many wrong codes. Please wait 15 minutes.',
      status: 429,
    })
  const ofAccount = limits('codesOfAccount', {
    key: (req) => awaiting(req).person.id,
    refuse,
    countsOnlyFailures: true,
  })

  router.get('/second-factor', (req, res) => {
    if (sessionOf(req).awaiting === undefined) res.redirect(303, visitOf(req)?.base ?? '/')
    else res.send(secondFactorPage(desk.context(req)))
  })

  router.post(
    '/second-factor',
    (req, res, next) => {
      if (sessionOf(req).awaiting === undefined) res.redirect(303, visitOf(req)?.base ?? '/')
      else if (desk.parse(CODE, req, res, secondFactorPage) !== undefined) next()
    },
    limits('codes', { key: (req) => `factor ${sessionOf(req).name}`, refuse, countsOnlyFailures: true }),
    (req, res, next) => {
      const known = devices.known(req, awaiting(req).person.id)
      return known === undefined ? ofAccount(req, res, next) : next()
    },
    (req, res) =>
      desk.pin(req, res, awaiting(req).person.country, async () => {
        const { person, secondFactor } = awaiting(req)
        const { code } = CODE.parse(req.body)
        const used = secondFactor && afterUse(secondFactor, code, Date.now())
        const account =
          used &&
          (await people.setSecondFactor(person.id, used, { keepSessions: true, instead: secondFactor }))
        if (account !== undefined) return desk.admit(req, res, account)
        log('second factor', { result: 'wrong code', request: req.portcullis.requestId })
        const problem = 'The code is wrong or was already used. The app shows a new one every 30 seconds.'
        desk.again(req, res, secondFactorPage, { problem, wrong: 'code', status: 401 })
      }),
  )
}
