import type { Request, Router } from 'express'
import { TOO_MANY, type EntryDesk } from './desk.ts'
import { networkOf } from '../limits.ts'
import { signInPage } from '../pages/entry-pages.ts'
import { SIGN_IN } from '../profile.ts'

/**
 * Sign-in with email address and password. Failed attempts of strangers do not use up the limit of the owner's
 * browsers.
 */
export function addSignIn(router: Router, desk: EntryDesk): void {
  const { people, limits, log, mail } = desk
  const nameIn = (req: Request): string => people.nameOf((req.body as { email: string }).email)
  /** An identifier of this browser, if somebody has signed in to this account with it. */
  const deviceOf = (req: Request): string | undefined => req.res?.locals['device'] as string | undefined
  const refuse = (req: Request, res: Parameters<EntryDesk['again']>[1]): void => {
    log('sign-in', { result: 'too many attempts', request: req.portcullis.requestId })
    desk.again(req, res, signInPage, TOO_MANY)
  }
  const ofEverybody = limits('passwordsOfAccount', { key: nameIn, refuse, countsOnlyFailures: true })

  router.get('/sign-in', (req, res) => void res.send(signInPage(desk.context(req))))

  router.post(
    '/sign-in',
    (req, res, next) => {
      if (desk.parse(SIGN_IN, req, res, signInPage) !== undefined) next()
    },
    limits('tries', { key: networkOf, refuse }),
    async (req, res, next) => {
      res.locals['device'] = await desk.deviceOf(req, SIGN_IN.parse(req.body).email)
      next()
    },
    limits('passwords', {
      key: (req) => deviceOf(req) ?? `${networkOf(req)} ${nameIn(req)}`,
      refuse,
      countsOnlyFailures: true,
    }),
    (req, res, next) => (deviceOf(req) === undefined ? ofEverybody(req, res, next) : next()),
    async (req, res) => {
      const { email, password } = SIGN_IN.parse(req.body)
      const account = await people.signIn(email, password)
      if (account === undefined) {
        log('sign-in', { result: 'wrong address or password', request: req.portcullis.requestId })
        const problem = 'The email address or the password is wrong.'
        desk.again(req, res, signInPage, { problem, wrong: 'password', status: 401 })
        return
      }
      const isNew = deviceOf(req) === undefined
      desk.pin(req, res, account.person.country, async () => {
        if (isNew) mail(newBrowser(email))
        await desk.enter(req, res, account)
      })
    },
  )
}

const newBrowser = (to: string): Parameters<EntryDesk['mail']>[0] => ({
  to,
  subject: 'Sign-in from a new browser',
  text: 'Your password was used in a browser in which you had not signed in before.\nIf this was not you, reset your password on the sign-in page, and end the sessions in your account that you do not recognise.',
})
