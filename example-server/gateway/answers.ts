import type { Request, Response, Router } from 'express'
import { returnUrlGuard, safeRedirect } from 'portcullis'
import { ANSWER, type Connection } from '../connections.ts'
import { consentPage } from '../pages/consent-page.ts'
import { messagePage } from '../pages/layout.ts'
import { PersonGone, type Person } from '../people.ts'
import { IMAGE, typedIn } from '../profile.ts'
import type { Pin, PinParts } from '../regions.ts'
import { sendUnavailable } from '../unavailable.ts'
import { contextOf, sessionOf, shown, visitOf } from '../visits.ts'
import { sendEnded, type GatewayParts } from './gateway.ts'

interface AnswerParts extends Omit<GatewayParts, 'shared'> {
  readonly shared: PinParts['shared']
  readonly pin: Pin
}

/** The person's answers to an app's request: consent and cancel. Each ends the request. */
export function addAnswers(gateway: Router, parts: AnswerParts): void {
  const { shared, connections, people, region, pin, mailsArePrinted } = parts
  const connectionOf = (req: Request): Connection => visitOf(req)?.connection as Connection

  /** The return URL was allowed when the app sent the person here. It must still be allowed when the person returns. */
  const mayGoBack = returnUrlGuard({
    ...shared,
    returnUrl: (req) => visitOf(req as Request)?.connection?.returnUrl,
    reserved: [ANSWER],
    onDeny: (decision, _req, res) => {
      if (decision.code === 'POLICY_UNAVAILABLE') return sendUnavailable(res as Response)
      const text =
        'The app sent a return address that it may no longer use. Please go back to the app and start again.'
      ;(res as Response).status(400).send(messagePage('We cannot send you back to the app', text))
    },
  })

  gateway.post('/consent', mayGoBack, (req, res) => {
    const connection = connectionOf(req)
    const { account } = sessionOf(req)
    if (account === undefined) return res.redirect(303, visitOf(req)?.base ?? '/')
    const { person } = account
    pin(req, res, person.country, async () => {
      const problem = await complete(req, person)
      if (problem !== undefined) {
        const more = { problem, wrong: 'image-address', typed: typedIn(req.body) }
        const context = contextOf(req, mailsArePrinted, more)
        res.status(400).send(consentPage(context, connection, shown(req, person)))
        return
      }
      const ticked = (req.body ?? {}) as Record<string, unknown>
      const fields = connection.wishes
        .filter(({ field, mandatory }) => mandatory || ticked[field] === 'yes')
        .map(({ field }) => field)
      if (!(await connections.end(connection.id))) return sendLate(req, res, connection)
      const { appId, requestId, id: connectId, codeChallenge } = connection
      const code = await connections.issueCode(
        { appId, requestId, connectId, personId: person.id, fields, region, codeChallenge },
        connection.appName,
      )
      // A concurrent deletion of the person may have revoked the grants before this one was stored.
      if ((await people.find(person.id)) === undefined) {
        await connections.revoke(person.id)
        throw new PersonGone()
      }
      await goBack(req, res, connection, 'authorized', code)
    })
  })

  gateway.post('/cancel', mayGoBack, async (req, res) => {
    const connection = connectionOf(req)
    if (await connections.end(connection.id)) await goBack(req, res, connection, 'canceled')
    else await sendLate(req, res, connection)
  })

  /** Answers the second click of a double click like the first. */
  async function sendLate(req: Request, res: Response, { id }: Connection): Promise<void> {
    const answered = await connections.findAnswer(id, sessionOf(req).id)
    if (answered === undefined) sendEnded(res)
    else res.set('Referrer-Policy', 'no-referrer').redirect(303, answered)
  }

  /** Saves the picture that the account lacks and the person entered. Resolves with the problem, if there is one. */
  async function complete(req: Request, person: Person): Promise<string | undefined> {
    const wish = connectionOf(req).wishes.find(({ field }) => field === 'image')
    if (wish === undefined || person.image !== '') return undefined
    const given = IMAGE.safeParse((req.body as Record<string, unknown> | undefined)?.['image-address'])
    if (!given.success)
      return given.error.issues[0]?.message ?? 'The address of the picture must start with https://.'
    if (given.data !== '') await people.change(person.id, 'image', given.data)
    else if (wish.mandatory) return 'This app requires the address of a picture of you.'
    return undefined
  }

  /** Redirects to the app, at the URL that the guard allowed. */
  async function goBack(
    req: Request,
    res: Response,
    connection: Connection,
    result: 'authorized' | 'canceled',
    code?: string,
  ): Promise<void> {
    const { requestId, id, appId } = connection
    const answer = { request_id: requestId, connect_id: id, result, ...(code !== undefined && { code }) }
    const signature = await parts.ukey1?.signAnswer(appId, answer)
    const signed = { ...answer, ...(signature !== undefined && { signature }) }
    safeRedirect(res, req, {
      parameters: Object.fromEntries(
        Object.entries(signed).map(([name, value]) => [`${ANSWER}[${name}]`, value]),
      ),
    })
    // The answer is already sent, so a failure only affects a second click, which then finds that the request has
    // ended.
    const location = String(res.getHeader('location'))
    await connections.keepAnswer(id, sessionOf(req).id, location).catch(() => undefined)
  }
}
