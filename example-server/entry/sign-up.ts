import type { Request, RequestHandler, Response, Router } from 'express'
import { TOO_MANY, type EntryDesk } from './desk.ts'
import { networkOf } from '../limits.ts'
import { CODE_MINUTES } from '../mail-codes.ts'
import { confirmPage, signUpPage } from '../pages/entry-pages.ts'
import type { PageContext } from '../pages/form.ts'
import { hashPassword } from 'portcullis/vault'
import { weaknessOf } from '../passwords.ts'
import { CODE, SIGN_UP } from '../profile.ts'
import { openBegun } from '../begun-form.ts'
import { sessionOf, visitOf } from '../visits.ts'

/**
 * Creates an account once the person has entered the code from the email. Until then, neither the pages nor their
 * response times reveal whether the address already has an account. Only an email to its owner says so.
 */
export function addSignUp(router: Router, desk: EntryDesk): void {
  const { people, mailCodes, limits, vault } = desk
  const nameIn = (req: Request): string => people.nameOf((req.body as { email: string }).email)

  router.get('/sign-up', (req, res) => {
    res.send(signUpPage(desk.context(req, { typed: openBegun(vault, req.query['begun']) })))
  })

  router.post(
    '/sign-up',
    async (req, res, next) => {
      const form = desk.parse(SIGN_UP, req, res, signUpPage)
      if (form !== undefined) next()
    },
    limits('tries', { key: networkOf, refuse: (req, res) => desk.again(req, res, signUpPage, TOO_MANY) }),
    ...mailLimits(desk, nameIn),
    async (req, res) => {
      const { password, ...profile } = SIGN_UP.parse(req.body)
      const problem = await weaknessOf(password, [profile.email, profile.firstname, profile.surname])
      if (problem !== undefined) {
        desk.again(req, res, signUpPage, { problem, wrong: 'password', status: 400 })
        return
      }
      desk.pin(req, res, profile.country, async () => {
        const next = `${visitOf(req)?.base}/confirm`
        if (!(await mailCodes.isFirst('sign-up', sessionOf(req), nameIn(req)))) return res.redirect(303, next)
        const isTaken = (await people.findByEmail(profile.email)) !== undefined
        const passwordHash = await hashPassword(password)
        const code = isTaken ? '' : mailCodes.newCode()
        await mailCodes.begin('sign-up', sessionOf(req), {
          email: profile.email,
          code,
          profile,
          passwordHash,
        })
        if (res.locals['noMail'] !== true)
          desk.mail(isTaken ? taken(profile.email) : welcome(profile.email, code))
        res.redirect(303, next)
      })
    },
  )

  addConfirm(router, desk)
}

function addConfirm(router: Router, desk: EntryDesk): void {
  const { people, mailCodes, limits, log } = desk
  const pageFor =
    (email: string) =>
    (context: PageContext): string =>
      confirmPage(context, email)

  router.get('/confirm', async (req, res) => {
    const pending = await mailCodes.find('sign-up', sessionOf(req))
    if (pending === undefined) res.redirect(303, `${visitOf(req)?.base}/sign-up`)
    else res.send(confirmPage(desk.context(req), pending.email))
  })

  router.post(
    '/confirm',
    async (req, res, next) => {
      const pending = await mailCodes.find('sign-up', sessionOf(req))
      res.locals['email'] = pending?.email
      if (pending === undefined && (await enterAgain(desk, req, res))) return
      if (pending === undefined) res.redirect(303, `${visitOf(req)?.base}/sign-up`)
      else if (desk.parse(CODE, req, res, pageFor(pending.email)) !== undefined) next()
    },
    limits('codes', {
      key: (req) => `sign-up ${sessionOf(req).name}`,
      refuse: (req, res) =>
        desk.again(req, res, pageFor(String(res.locals['email'])), {
          problem: 'Too many wrong codes. Please start again in 15 minutes.',
          status: 429,
        }),
      countsOnlyFailures: true,
    }),
    async (req, res) => {
      const { code } = CODE.parse(req.body)
      const pending = await mailCodes.redeem('sign-up', sessionOf(req), code)
      if (pending?.profile === undefined || pending.passwordHash === undefined) {
        if (await enterAgain(desk, req, res)) return
        log('code from an email', { result: 'wrong', request: req.portcullis.requestId })
        const problem = 'This is not the code from the latest email.'
        desk.again(req, res, pageFor(String(res.locals['email'])), { problem, wrong: 'code', status: 400 })
        return
      }
      const { profile, passwordHash } = pending
      desk.pin(req, res, profile.country, async () => {
        const account = await people.signUp(profile, passwordHash)
        if (account !== undefined) {
          log('account created', { request: req.portcullis.requestId })
          await mailCodes.lead('sign-up', sessionOf(req), code, account.person.id)
          await desk.enter(req, res, account)
        } else {
          const problem = 'An account with this address was created in the meantime. Please sign in.'
          desk.again(req, res, signUpPage, { problem, status: 409 })
        }
      })
    },
  )
}

/** If this is the second click of a double click, sends the same answer as the first. Resolves with whether it is. */
async function enterAgain(
  { mailCodes, people, enter }: EntryDesk,
  req: Request,
  res: Response,
): Promise<boolean> {
  const code = CODE.safeParse(req.body).data?.code ?? ''
  const personId = await mailCodes.ledTo('sign-up', sessionOf(req), code)
  const account = personId === undefined ? undefined : await people.find(personId)
  if (account !== undefined) await enter(req, res, account)
  return account !== undefined
}

/** Limits the emails to one address. Over the limit, the person sees the same page, but no email is sent. */
export function mailLimits(
  { limits, deviceOf }: EntryDesk,
  nameIn: (req: Request) => string,
): RequestHandler[] {
  const refuse: RequestHandler = (_req, res, next) => {
    res.removeHeader('Retry-After')
    res.locals['noMail'] = true
    next()
  }
  const fromEverybody = limits('mailsToAddress', { key: nameIn, refuse })
  return [
    limits('mails', { key: (req) => `${networkOf(req)} ${nameIn(req)}`, refuse }),
    async (req, res, next) => {
      const device = await deviceOf(req, (req.body as { email: string }).email)
      if (device === undefined) await fromEverybody(req, res, next)
      else next()
    },
  ]
}

const welcome = (to: string, code: string): Parameters<EntryDesk['mail']>[0] => ({
  to,
  subject: 'Your code for the example gateway',
  text: `Code: ${code}\nEnter it within ${CODE_MINUTES} minutes, in the browser in which you are creating your account.\nIf you did not request it, ignore this email: no account is created without the code.`,
})

const taken = (to: string): Parameters<EntryDesk['mail']>[0] => ({
  to,
  subject: 'You already have an account at the example gateway',
  text: 'Someone, probably you, tried to create an account with this address, but you already have one.\nSign in, or reset your password on the sign-in page. If this was not you, ignore this email.',
})
