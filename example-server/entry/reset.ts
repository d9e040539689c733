import type { Request, Router } from 'express'
import { TOO_MANY, type EntryDesk } from './desk.ts'
import { mailLimits } from './sign-up.ts'
import { networkOf } from '../limits.ts'
import { CODE_MINUTES } from '../mail-codes.ts'
import { newPasswordPage, resetPage } from '../pages/entry-pages.ts'
import type { PageContext } from '../pages/form.ts'
import { weaknessOf } from '../passwords.ts'
import { CODE_AND_PASSWORD, RESET } from '../profile.ts'
import { sessionOf, visitOf } from '../visits.ts'

/** Sets a new password by a code sent to the email address of the account. The second factor is still required. */
export function addReset(router: Router, desk: EntryDesk): void {
  const { people, mailCodes, limits } = desk
  const nameIn = (req: Request): string => people.nameOf((req.body as { email: string }).email)

  router.get('/reset', (req, res) => void res.send(resetPage(desk.context(req))))

  router.post(
    '/reset',
    (req, res, next) => {
      if (desk.parse(RESET, req, res, resetPage) !== undefined) next()
    },
    limits('tries', {
      key: networkOf,
      refuse: (req, res) =>
        desk.again(req, res, resetPage, {
          ...TOO_MANY,
          problem: 'Too many attempts. Please wait 15 minutes.',
        }),
    }),
    ...mailLimits(desk, nameIn),
    async (req, res) => {
      const { email } = RESET.parse(req.body)
      const next = `${visitOf(req)?.base}/new-password`
      if (!(await mailCodes.isFirst('reset', sessionOf(req), nameIn(req)))) return res.redirect(303, next)
      const personId = await people.idOf(email)
      const exists = personId !== undefined
      const code = exists ? mailCodes.newCode() : ''
      await mailCodes.begin('reset', sessionOf(req), { email, code, personId })
      if (exists && res.locals['noMail'] !== true) desk.mail(codeMail(email, code))
      res.redirect(303, next)
    },
  )

  addNewPassword(router, desk)
}

function addNewPassword(router: Router, desk: EntryDesk): void {
  const { people, mailCodes, limits, log } = desk
  const pageFor =
    (email: string) =>
    (context: PageContext): string =>
      newPasswordPage(context, email)

  router.get('/new-password', async (req, res) => {
    const pending = await mailCodes.find('reset', sessionOf(req))
    if (pending === undefined) res.redirect(303, `${visitOf(req)?.base}/reset`)
    else res.send(newPasswordPage(desk.context(req), pending.email))
  })

  router.post(
    '/new-password',
    async (req, res, next) => {
      const pending = await mailCodes.find('reset', sessionOf(req))
      res.locals['email'] = pending?.email
      if (pending === undefined) res.redirect(303, `${visitOf(req)?.base}/reset`)
      else if (desk.parse(CODE_AND_PASSWORD, req, res, pageFor(pending.email)) !== undefined) next()
    },
    limits('codes', {
      key: (req) => `reset ${sessionOf(req).name}`,
      refuse: (req, res) =>
        desk.again(req, res, pageFor(String(res.locals['email'])), {
          problem: 'Too many wrong codes. Please start again in 15 minutes.',
          status: 429,
        }),
      countsOnlyFailures: true,
    }),
    async (req, res) => {
      const { code, password } = CODE_AND_PASSWORD.parse(req.body)
      const email = String(res.locals['email'])
      const page = pageFor(email)
      const weakness = await weaknessOf(password, [email])
      if (weakness !== undefined)
        return desk.again(req, res, page, { problem: weakness, wrong: 'password', status: 400 })
      const pending = await mailCodes.redeem('reset', sessionOf(req), code)
      const account = pending && (await people.findByEmail(email))
      if (account === undefined || account.person.id !== pending?.personId) {
        log('code from an email', { result: 'wrong', request: req.portcullis.requestId })
        const problem = 'This is not the code from the latest email.'
        return desk.again(req, res, page, { problem, wrong: 'code', status: 400 })
      }
      desk.pin(req, res, account.person.country, async () => {
        const changed = await people.setPassword(account.person.id, password)
        log('password reset', { request: req.portcullis.requestId })
        desk.mail(passwordChanged(email))
        await desk.enter(req, res, changed)
      })
    },
  )
}

const codeMail = (to: string, code: string): Parameters<EntryDesk['mail']>[0] => ({
  to,
  subject: 'Your code for a new password',
  text: `Code: ${code}\nEnter it within ${CODE_MINUTES} minutes, in the browser in which you requested it.\nIf you did not request it, ignore this email: your password stays the same.`,
})

export const passwordChanged = (to: string): Parameters<EntryDesk['mail']>[0] => ({
  to,
  subject: 'Your password was changed',
  text: 'The password of your account was changed. All other sessions were ended.\nIf this was not you, reset your password on the sign-in page.',
})
