import type { Request, RequestHandler, Response, Router } from 'express'
import { z } from 'zod'
import type { EntryDesk } from '../entry/desk.ts'
import { deletedPage, deletePage } from '../pages/account-pages.ts'
import type { PageContext } from '../pages/form.ts'
import type { Account } from '../people.ts'
import { CODE, CURRENT } from '../profile.ts'
import { afterUse } from '../second-factor.ts'
import type { Storage } from '../storage.ts'
import { sessionOf, shown } from '../visits.ts'

const PASSWORD_ALONE = z.object({ current: CURRENT })
const WITH_CODE = PASSWORD_ALONE.extend(CODE.shape)

/** How long the form can be sent again to complete an interrupted deletion. */
const BEGUN_LIFETIME = 15 * 60_000
const DONE_LIFETIME = 60_000
/** Replaces the identifier of the person when the deletion is complete. */
const DONE = ''

interface DeleteParts {
  readonly desk: EntryDesk
  readonly storage: Storage
}

const begunKeyOf = (req: Request): string => `deleting:${sessionOf(req).name}`

/**
 * Completes a deletion if the form is sent again, after a double click or an interruption. Mount it before the sign-in is
 * required, because the person can no longer sign in.
 */
export function resumeDeletion({ desk, storage }: DeleteParts): RequestHandler {
  return async (req, res, next) => {
    const id = sessionOf(req).account === undefined ? await storage.get(begunKeyOf(req)) : undefined
    if (id === undefined) return next()
    if (id !== DONE) await desk.people.finish(id)
    await sendDeleted(req, res, { desk, storage })
  }
}

/** Deletes the account. Requires the password, and a code if the second factor is on. */
export function addDelete(router: Router, parts: DeleteParts): void {
  const { desk } = parts
  const { limits, people } = desk
  const accountOf = (req: Request): Account => sessionOf(req).account as Account
  const hasFactor = (req: Request): boolean => accountOf(req).secondFactor !== undefined
  const formOf = (req: Request) => (hasFactor(req) ? WITH_CODE : PASSWORD_ALONE)
  const page =
    (req: Request) =>
    (context: PageContext): string =>
      deletePage(context, hasFactor(req))
  const refuse = (req: Request, res: Response): void =>
    desk.again(req, res, page(req), {
      problem: 'Too many failed attempts. Please wait 15 minutes.',
      status: 429,
    })
  const ofCodes = limits('codes', {
    key: (req) => `factor ${sessionOf(req).name}`,
    refuse,
    countsOnlyFailures: true,
  })

  async function sayWrong(
    req: Request,
    res: Response,
    next: () => void,
    wrong: keyof typeof PROBLEMS,
  ): Promise<void> {
    // The first click of a double click may have deleted the account before the second was checked.
    if ((await people.find(accountOf(req).person.id)) === undefined) return next()
    desk.log('account deletion', { result: `wrong ${NAMES[wrong]}`, request: req.portcullis.requestId })
    return desk.again(req, res, page(req), { problem: PROBLEMS[wrong], wrong, status: 401 })
  }

  router.get('/delete', (req, res) => void res.send(page(req)(desk.context(req))))
  router.post(
    '/delete',
    (req, res, next) => {
      if (desk.parse(formOf(req), req, res, page(req)) !== undefined) next()
    },
    limits('passwords', { key: (req) => `session ${sessionOf(req).name}`, refuse, countsOnlyFailures: true }),
    async (req, res, next) => {
      const { current } = PASSWORD_ALONE.parse(req.body)
      if (await people.isPassword(accountOf(req).person.id, current)) next()
      else await sayWrong(req, res, next, 'current')
    },
    (req, res, next) => (hasFactor(req) ? ofCodes(req, res, next) : next()),
    async (req, res, next) => {
      const { secondFactor } = accountOf(req)
      // There is no need to mark the code as used, because it is deleted with the account.
      const used = secondFactor && afterUse(secondFactor, WITH_CODE.parse(req.body).code, Date.now())
      if (secondFactor === undefined || used !== undefined) next()
      else await sayWrong(req, res, next, 'code')
    },
    async (req, res) => {
      if (await deleteAccount(req, parts, accountOf(req))) return sendDeleted(req, res, parts)
      const problem = 'Your account was changed at the same time. Nothing was deleted. Please try again.'
      return desk.again(req, res, page(req), { problem, status: 409 })
    },
  )
}

const PROBLEMS = {
  current: 'The current password is wrong.',
  code: 'The code is wrong or was already used. The app shows a new one every 30 seconds.',
} as const

const NAMES = { current: 'password', code: 'code' } as const

/** Records the deletion, then deletes the person. Resolves with false if the account was changed at the same time. */
async function deleteAccount(
  req: Request,
  { desk, storage }: DeleteParts,
  account: Account,
): Promise<boolean> {
  const { people, log, mail } = desk
  const { id, email } = shown(req, account.person)
  const { audit, requestId } = req.portcullis
  audit.deleted(id, { record: 'person', purpose: 'requested by the person' })
  await audit.flush()
  await storage.put(begunKeyOf(req), id, BEGUN_LIFETIME)
  const result = await people.close(account)
  if (result === 'changed') {
    await storage.remove(begunKeyOf(req))
    return false
  }
  if (result === 'closed') {
    log('account deleted', { request: requestId })
    mail(accountDeleted(email))
  }
  await people.finish(id)
  return true
}

async function sendDeleted(req: Request, res: Response, { desk, storage }: DeleteParts): Promise<void> {
  await storage.put(begunKeyOf(req), DONE, DONE_LIFETIME)
  await desk.sessions.leave(req, res)
  desk.devices.forget(res)
  res.send(deletedPage())
}

const accountDeleted = (to: string): Parameters<EntryDesk['mail']>[0] => ({
  to,
  subject: 'Your account was deleted',
  text: 'Your account at the example gateway was deleted, as requested with your password. Apps can no longer read your data.\nThis cannot be undone. You can create a new account with this address at any time.\nIf this was not you, somebody else knew your password: change it wherever else you use it.',
})
