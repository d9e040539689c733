import { urlencoded, type Request, type RequestHandler, type Response } from 'express'
import { auditAccess, type AuditAccessOptions } from 'portcullis'
import { SHOWN } from './access-log.ts'
import type { Connection } from './connections.ts'
import type { Person } from './people.ts'
import type { PageContext } from './pages/form.ts'
import { messagePage } from './pages/layout.ts'
import type { PinParts } from './regions.ts'
import type { Session, Sessions } from './sessions.ts'
import { sendUnavailable } from './unavailable.ts'

/** A person's request for a page. */
export interface Visit {
  /** The path that the forms of the page are sent to. */
  readonly base: string
  /** The connection of the app that sent the person; `undefined` on the account pages. */
  readonly connection: Connection | undefined
  readonly session: Session | undefined
  /** The country of the person whose data is about to be handled. */
  readonly country: string | undefined
}

const visits = new WeakMap<object, Visit>()

export const visitOf = (req: Request): Visit | undefined => visits.get(req)

export function changeVisit(req: Request, changes: Partial<Visit>): void {
  const before = visits.get(req) ?? {
    base: '',
    connection: undefined,
    session: undefined,
    country: undefined,
  }
  visits.set(req, { ...before, ...changes })
}

/** The session of a request that `receiveVisits` has admitted. */
export const sessionOf = (req: Request): Session => visits.get(req)?.session as Session

export function contextOf(
  req: Request,
  mailsArePrinted: boolean,
  more: Pick<PageContext, 'problem' | 'wrong' | 'typed'> = {},
): PageContext {
  const { base = '', connection } = visits.get(req) ?? {}
  const app = connection && { name: connection.appName }
  return { base, app, csrf: sessionOf(req).csrf, mailsArePrinted, ...more }
}

/** How each request is recorded. */
export type AuditParts = Pick<AuditAccessOptions, 'sink' | 'pseudonymKey'>

export interface VisitParts {
  readonly shared: PinParts['shared']
  readonly audit: AuditParts
  readonly sessions: Sessions
}

/** Runs before all pages: records each request, and admits a form only if it was sent from one of our pages. */
export function receiveVisits({ shared, audit, sessions }: VisitParts): RequestHandler[] {
  return [
    auditAccess({
      ...shared,
      ...audit,
      onDeny: (_decision, _req, res) => sendUnavailable(res as Response),
    }),
    urlencoded({ extended: false, limit: 16_384 }),
    async (req, res, next) => {
      if (req.method === 'GET' || req.method === 'HEAD') {
        changeVisit(req, { session: await sessions.meet(req, res) })
        return next()
      }
      const session = await sessions.find(req)
      if (session !== undefined && sessions.isOurForm(req, session)) {
        changeVisit(req, { session })
        return next()
      }
      const base = visitOf(req)?.base ?? ''
      // The second click of a double click on "Sign in": the first has already changed the session.
      if (session?.account !== undefined && sessions.isOurOrigin(req)) {
        res.redirect(303, base)
        return
      }
      const text = 'This form did not come from our page, or the page was open for too long.'
      const ways = [{ href: base, text: 'Open the page again' }]
      res.status(403).send(messagePage('Please try again', text, { ways }))
    },
  ]
}

/** Records every field that a page shows, even if people see their own data. */
export function shown(req: Request, person: Person): Person {
  return req.portcullis.audit.person(person.id, person, { record: 'person', purpose: SHOWN })
}
