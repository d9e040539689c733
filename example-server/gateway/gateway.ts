import { Router, type Request, type Response } from 'express'
import { receiveBegunForm } from '../begun-form.ts'
import type { Connections } from '../connections.ts'
import type { EntryParts } from '../entry/desk.ts'
import { createEntry } from '../entry/entry.ts'
import { consentPage } from '../pages/consent-page.ts'
import { signInPage } from '../pages/entry-pages.ts'
import { messagePage } from '../pages/layout.ts'
import { createPin, type PinParts } from '../regions.ts'
import type { Ukey1 } from '../ukey1.ts'
import {
  changeVisit,
  contextOf,
  receiveVisits,
  sessionOf,
  shown,
  visitOf,
  type AuditParts,
} from '../visits.ts'
import { addAnswers } from './answers.ts'

export interface GatewayParts extends Omit<EntryParts, 'pin'> {
  readonly shared: Omit<PinParts['shared'], 'appId'>
  readonly region: string
  readonly urlOf: PinParts['urlOf']
  readonly connections: Connections
  readonly audit: AuditParts
  /** The legacy scheme of Ukey1, which signs the answer in the return URL; `undefined` if no app uses it. */
  readonly ukey1: Pick<Ukey1, 'signAnswer'> | undefined
}

/** Creates the pages on which a person signs in and decides what to share: /gateway/:connectId. */
export function createGateway(parts: GatewayParts): Router {
  const { connections, sessions, region, urlOf, audit, mailsArePrinted } = parts
  // People call these pages. The app is the one that sent them here.
  const shared = { ...parts.shared, appId: (req: Request) => visitOf(req)?.connection?.appId }
  const pin = createPin({ shared, region, urlOf })
  const gateway = Router({ mergeParams: true })

  gateway.use(async (req, res, next) => {
    const { connectId } = req.params as { connectId: string }
    const base = `/gateway/${connectId}`
    const connection = /^[\w-]{43}$/.test(connectId) ? await connections.find(connectId) : undefined
    if (connection !== undefined) {
      // A form may redirect to the app: browsers also apply `form-action` to redirects of forms.
      res.locals['formTarget'] = formTarget(connection.returnUrl)
      changeVisit(req, { base, connection })
      return next()
    }
    const answered = await answerOfFirstClick(req, connectId)
    if (answered !== undefined) res.set('Referrer-Policy', 'no-referrer').redirect(303, answered)
    else sendEnded(res)
  })

  /** Where the first click of a double click was redirected to. The second finds that the connect request has ended. */
  async function answerOfFirstClick(req: Request, connectId: string): Promise<string | undefined> {
    if (req.method !== 'POST' || !/^\/(?:consent|cancel)$/.test(req.path) || !sessions.isOurOrigin(req))
      return undefined
    const session = await sessions.find(req)
    return session && connections.findAnswer(connectId, session.id)
  }

  gateway.post('/sign-up/begun', ...receiveBegunForm(parts.vault))
  gateway.use(receiveVisits({ shared, audit, sessions }))

  gateway.get('/', (req, res) => {
    const { account, awaiting } = sessionOf(req)
    const { base = '', connection } = visitOf(req) ?? {}
    const context = contextOf(req, mailsArePrinted)
    if (awaiting !== undefined) res.redirect(303, `${base}/second-factor`)
    else if (account === undefined || connection === undefined) res.send(signInPage(context))
    else {
      pin(req, res, account.person.country, () => {
        res.send(consentPage(context, connection, shown(req, account.person)))
      })
    }
  })

  gateway.use(createEntry({ ...parts, pin }))
  addAnswers(gateway, { ...parts, shared, pin })
  // The address of a form was typed or reloaded: redirect to the page with the form.
  gateway.get(['/consent', '/cancel', '/sign-out'], (req, res) =>
    res.redirect(303, visitOf(req)?.base ?? '/'),
  )
  return gateway
}

export function sendEnded(res: Response): void {
  const text =
    'It was already answered, or it was open for more than ten minutes. Please go back to the app and start again.'
  const ways = [
    { href: '/account', text: 'Go to your account' },
    { href: '/', text: 'Go to the front page' },
  ]
  res.status(404).send(messagePage('This sign-in has ended', text, { ways }))
}

/** The source expression of a return URL for a Content Security Policy: its origin, or its scheme if it has no web origin. */
function formTarget(returnUrl: string): string {
  const { protocol, origin, hostname } = new URL(returnUrl)
  // The grammar of CSP has no IPv6 addresses.
  return origin === 'null' || hostname.startsWith('[') ? protocol : origin
}
