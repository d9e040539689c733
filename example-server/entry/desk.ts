import type { Request, Response } from 'express'
import type { z } from 'zod'
import type { Vault } from 'portcullis/vault'
import type { Devices } from '../devices.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Mailer } from '../mail.ts'
import type { MailCodes } from '../mail-codes.ts'
import type { PageContext } from '../pages/form.ts'
import type { Account, People } from '../people.ts'
import { firstProblem, typedIn } from '../profile.ts'
import type { Pin } from '../regions.ts'
import type { Sessions } from '../sessions.ts'
import { contextOf, visitOf } from '../visits.ts'

export interface EntryParts {
  readonly people: People
  readonly sessions: Sessions
  readonly devices: Devices
  readonly mailCodes: MailCodes
  readonly limits: Limits
  readonly mail: Mailer
  readonly mailsArePrinted: boolean
  readonly log: Log
  readonly vault: Vault
  readonly pin: Pin
}

/** What sign-in, sign-up, reset and second factor have in common. */
export interface EntryDesk extends EntryParts {
  context(req: Request, more?: Pick<PageContext, 'problem' | 'wrong' | 'typed'>): PageContext
  /** The parsed form. If it is invalid, sends the page with the problem, and returns `undefined`. */
  parse<Schema extends z.ZodType>(
    schema: Schema,
    req: Request,
    res: Response,
    page: (context: PageContext) => string,
  ): z.output<Schema> | undefined
  /** Sends the page again, with the problem. */
  again(
    req: Request,
    res: Response,
    page: (context: PageContext) => string,
    problem: { problem: string; wrong?: string | undefined; status: number },
  ): void
  /** An identifier of this browser, if somebody has signed in with it to the account that now has this email address. */
  deviceOf(req: Request, email: string): Promise<string | undefined>
  /**
   * Continues after the password or the mailed code was right: with the second factor if it is on, else with a session.
   */
  enter(req: Request, res: Response, account: Account): Promise<void>
  /** Begins a session. Call it only after every factor was checked. */
  admit(req: Request, res: Response, account: Account): Promise<void>
}

export function createDesk(parts: EntryParts): EntryDesk {
  const { sessions, devices, people, log, mailsArePrinted } = parts
  const desk: EntryDesk = {
    ...parts,
    context: (req, more) => contextOf(req, mailsArePrinted, more),
    again(req, res, page, { status, ...problem }) {
      res.status(status).send(page(desk.context(req, { ...problem, typed: typedIn(req.body) })))
    },
    parse(schema, req, res, page) {
      const result = schema.safeParse(req.body)
      if (result.success) return result.data
      desk.again(req, res, page, { ...firstProblem(result.error), status: 400 })
      return undefined
    },
    async deviceOf(req, email) {
      if (!devices.isAny(req)) return undefined
      const id = await people.idOf(email)
      return id === undefined ? undefined : devices.known(req, id)
    },
    async enter(req, res, account) {
      if (account.secondFactor === undefined) return desk.admit(req, res, account)
      await sessions.begin(req, res, account, 'second factor')
      res.redirect(303, `${visitOf(req)?.base}/second-factor`)
    },
    async admit(req, res, account) {
      await sessions.begin(req, res, account)
      devices.remember(req, res, account.person.id)
      log('sign-in', { result: 'ok', request: req.portcullis.requestId })
      res.redirect(303, visitOf(req)?.base ?? '/')
    },
  }
  return desk
}

/** The answer to too many attempts. */
export const TOO_MANY = {
  problem: 'Too many attempts. Please wait 15 minutes, or reset your password by email.',
  status: 429,
} as const
