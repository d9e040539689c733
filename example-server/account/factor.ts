import type { Request, Response, Router } from 'express'
import { z } from 'zod'
import type { EntryDesk } from '../entry/desk.ts'
import { recoveryCodesPage, turnOffPage, turnOnPage } from '../pages/account-pages.ts'
import type { PageContext } from '../pages/form.ts'
import { CODE, CURRENT } from '../profile.ts'
import { enrolment, newRecoveryCodes, newSecret, stepOf } from '../second-factor.ts'
import type { Storage } from '../storage.ts'
import { sessionOf, shown } from '../visits.ts'

const ENROLMENT_LIFETIME = 15 * 60_000
const TURN_ON = CODE.extend({ current: CURRENT })
const TURN_OFF = z.object({ current: CURRENT })

/** The key of the secret that a session is about to turn on. */
export const enrolmentKeyOf = (session: string): string => `enrolment:${session}`

/** Turns the second factor on and off. Both require the password, because the browser may have been left signed in. */
export function addFactor(router: Router, { desk, storage }: { desk: EntryDesk; storage: Storage }): void {
  const { people, vault } = desk
  const keyOf = (req: Request): string => enrolmentKeyOf(sessionOf(req).name)
  const factorOf = (req: Request) => sessionOf(req).account?.secondFactor

  /**
   * The secret that this session is about to turn on. It takes effect only after the person has entered a code made
   * from it.
   */
  async function secretOf(req: Request): Promise<string> {
    const key = keyOf(req)
    await storage.add(key, vault.seal(newSecret(), key), ENROLMENT_LIFETIME)
    return vault.open((await storage.get(key)) ?? '', key)
  }

  const onPage =
    (req: Request, secret: string) =>
    (context: PageContext): string => {
      const person = sessionOf(req).account?.person
      const { link, picture } = enrolment(secret, person === undefined ? '' : shown(req, person).email)
      return turnOnPage(context, secret, link, picture)
    }

  const limitOf = (page: (req: Request) => (context: PageContext) => string) =>
    desk.limits('passwords', {
      key: (req) => `session ${sessionOf(req).name}`,
      refuse: (req, res) =>
        desk.again(req, res, page(req), {
          problem: 'Too many failed attempts. Please wait 15 minutes.',
          status: 429,
        }),
      countsOnlyFailures: true,
    })

  router.get('/factor', async (req, res) => {
    const context = desk.context(req)
    if (factorOf(req) !== undefined) res.send(turnOffPage(context))
    else res.send(onPage(req, await secretOf(req))(context))
  })
  router.get(['/factor-on', '/factor-off'], (_req, res) => res.redirect(303, '/account/factor'))

  router.post(
    '/factor-on',
    async (req, res, next) => {
      if (factorOf(req) !== undefined) return res.redirect(303, '/account/factor')
      res.locals['secret'] = await secretOf(req)
      if (desk.parse(TURN_ON, req, res, onPage(req, String(res.locals['secret']))) !== undefined) next()
    },
    limitOf((req) => onPage(req, String(req.res?.locals['secret']))),
    async (req, res) => {
      const { code, current } = TURN_ON.parse(req.body)
      const secret = String(res.locals['secret'])
      const page = onPage(req, secret)
      const step = stepOf(secret, code, Date.now())
      if (step === undefined) {
        const problem = 'This code does not match the key. Check the clock of your device.'
        return desk.again(req, res, page, { problem, wrong: 'code', status: 400 })
      }
      if (!(await passwordIsRight(req, res, current, page))) return
      const { codes, hashes } = newRecoveryCodes()
      await change(req, res, { secret, lastStep: step, recovery: hashes }, 'on')
      await storage.remove(keyOf(req))
      res.send(recoveryCodesPage(desk.context(req), codes))
    },
  )

  router.post(
    '/factor-off',
    (req, res, next) => {
      if (factorOf(req) === undefined) res.redirect(303, '/account/factor')
      else if (desk.parse(TURN_OFF, req, res, turnOffPage) !== undefined) next()
    },
    limitOf(() => turnOffPage),
    async (req, res) => {
      const { current } = TURN_OFF.parse(req.body)
      if (!(await passwordIsRight(req, res, current, turnOffPage))) return
      await change(req, res, undefined, 'off')
      res.redirect(303, '/account?done=factor-off')
    },
  )

  async function passwordIsRight(
    req: Request,
    res: Response,
    password: string,
    page: (context: PageContext) => string,
  ): Promise<boolean> {
    const id = sessionOf(req).account?.person.id ?? ''
    if (await people.isPassword(id, password)) return true
    desk.log('second factor', { result: 'wrong password', request: req.portcullis.requestId })
    const problem = 'The current password is wrong.'
    desk.again(req, res, page, { problem, wrong: 'current', status: 401 })
    return false
  }

  async function change(
    req: Request,
    res: Response,
    factor: Parameters<typeof people.setSecondFactor>[1],
    state: 'on' | 'off',
  ): Promise<void> {
    const id = sessionOf(req).account?.person.id ?? ''
    const changed = await people.setSecondFactor(id, factor)
    if (changed === undefined) throw new Error('the second factor was not changed')
    desk.log('second factor', { result: state, request: req.portcullis.requestId })
    const { email } = shown(req, changed.person)
    desk.mail({
      to: email,
      subject: `The second factor of your account was turned ${state}`,
      text: `The second factor of your account was turned ${state}. All other sessions were ended.\nIf this was not you, reset your password on the sign-in page.`,
    })
    await desk.sessions.begin(req, res, changed)
  }
}
