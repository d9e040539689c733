import { Router, urlencoded, type Request, type Response } from 'express'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import {
  auditAccess,
  DEFAULT_JURISDICTIONS,
  regionPin,
  returnUrlGuard,
  safeRedirect,
  type PolicySource,
} from 'portcullis'
import type { AuditSink } from 'portcullis/audit'
import { ANSWER, type Connection, type Connections } from './connections.ts'
import { consentPage, messagePage, signInPage, signUpPage, type FormContext } from './pages.ts'
import type { People, Person } from './people.ts'
import type { Session, Sessions } from './sessions.ts'
import type { Ukey1 } from './ukey1.ts'

export interface GatewayDependencies {
  readonly policies: PolicySource
  readonly connections: Connections
  readonly people: People
  readonly sessions: Sessions
  readonly region: string
  readonly sink: AuditSink
  readonly pseudonymKey: Uint8Array
  /** Legacy: signs the answer on the return URL; `undefined` where no app has it. */
  readonly ukey1: Pick<Ukey1, 'signAnswer'> | undefined
}

const MAX_ATTEMPTS_BY_EMAIL = 10
const MAX_ATTEMPTS_BY_ADDRESS = 100
const ATTEMPTS_LIFETIME = 15 * 60_000

const EMAIL = z.email('Please give a valid email address.').max(254)
const name = (which: string): z.ZodString =>
  z
    .string(`Please give your ${which}.`)
    .trim()
    .min(1, `Please give your ${which}.`)
    .max(100, `Your ${which} may have 100 characters at the most.`)
const SIGN_IN = z.object({ email: EMAIL, password: z.string().min(1, 'Please give your password.').max(512) })
const COUNTRIES = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
const IMAGE = z
  .union([
    z.literal(''),
    z
      .url({ protocol: /^https$/, error: 'The picture needs an https address.' })
      .max(500, 'The address of the picture may have 500 characters at the most.'),
  ])
  .default('')
const SIGN_UP = z.object({
  email: EMAIL,
  password: z
    .string()
    .transform((password) => password.normalize('NFC'))
    // Characters as people count them, and not units of UTF-16.
    .refine((password) => Array.from(password).length >= 12, 'The password needs at least 12 characters.')
    .refine(
      (password) => Array.from(password).length <= 128,
      'The password may have 128 characters at the most.',
    ),
  firstname: name('first name'),
  surname: name('last name'),
  country: z
    .string()
    .refine((code) => /^[A-Z]{2}$/.test(code) && isCountry(code), 'Please choose your citizenship.'),
  language: z.string().regex(/^[a-z]{2}$/, 'Please choose a language.'),
  image: IMAGE,
})

/** The pages on which a person signs in and decides what to share: /gateway/:connectId. */
export function createGateway(dependencies: GatewayDependencies): Router {
  const { policies, connections, people, sessions, region, sink, pseudonymKey } = dependencies
  const gateway = Router({ mergeParams: true })
  // Failed tries by person and by address; bounded, so that nobody can fill the memory.
  const attempts = new LRUCache<string, number>({ max: 50_000, ttl: ATTEMPTS_LIFETIME })

  const requests = new WeakMap<
    object,
    { connection: Connection; session: Session | undefined; country?: string }
  >()
  const of = (req: Request): { connection: Connection; session: Session } =>
    requests.get(req) as { connection: Connection; session: Session }
  // These pages are called by people; the app is the one that sent them here.
  const shared = { policies, appId: (req: Request) => requests.get(req)?.connection.appId }

  gateway.use(async (req, res, next) => {
    const { connectId } = req.params as { connectId: string }
    const connection = /^[\w-]{43}$/.test(connectId) ? await connections.find(connectId) : undefined
    if (connection === undefined) {
      sendEnded(res)
      return
    }
    // A form may lead back to the app: browsers hold redirects of forms to `form-action` too.
    res.locals['formTarget'] = formTarget(connection.returnUrl)
    requests.set(req, { connection, session: undefined })
    next()
  })

  gateway.use(
    auditAccess({
      ...shared,
      sink,
      pseudonymKey,
      onDeny: (_decision, _req, res) => sendUnavailable(res as Response),
    }),
    urlencoded({ extended: false, limit: 16_384 }),
    async (req, res, next) => {
      const { connection } = of(req)
      const reads = req.method === 'GET' || req.method === 'HEAD'
      const session = reads ? await sessions.findOrBegin(req, res) : await sessions.find(req)
      if (session === undefined || (!reads && !sessions.isOurForm(req, session))) {
        const text =
          'This form was not sent from our page, or the page was open for too long. Go back and reload it.'
        res.status(403).send(messagePage('Please try again', text))
        return
      }
      requests.set(req, { connection, session })
      next()
    },
  )

  /** The data of a person is handled only where it must stay, by the policy of the app that asks. */
  const pinned = regionPin({
    ...shared,
    here: region,
    country: (req) => requests.get(req)?.country,
    onDeny: (decision, _req, res) => {
      if (decision.code === 'POLICY_UNAVAILABLE') return sendUnavailable(res as Response)
      const { locations } = DEFAULT_JURISDICTIONS[String(decision.evidence['jurisdiction'])] ?? {
        locations: [],
      }
      const where = locations.map((name) => name.charAt(0).toUpperCase() + name.slice(1)).join(' or ')
      const misdirected = decision.code === 'REGION_MISDIRECTED'
      const text = misdirected
        ? `Your data must stay in ${where}, and this server is not there. Please use the gateway of your region.`
        : 'The rules of this app cannot be met here.'
      ;(res as Response).status(misdirected ? 421 : 403).send(messagePage('Not on this server', text))
    },
  })

  /** Runs `next` if the data of this person may be handled here. */
  function pin(req: Request, res: Response, country: string, next: () => void | Promise<void>): void {
    requests.set(req, { ...of(req), country })
    pinned(req, res, (error) => {
      if (error === undefined) Promise.resolve(next()).catch((fault: unknown) => req.next?.(fault))
      else req.next?.(error)
    })
  }

  gateway.get('/', async (req, res) => {
    const { connection, session } = of(req)
    const context: FormContext = { connection, csrf: session.csrf }
    const person = session.personId === undefined ? undefined : await people.find(session.personId)
    if (person !== undefined)
      pin(req, res, person.country, () => void res.send(consentPage(context, shown(req, person))))
    else
      res.send(req.query['form'] === 'sign-up' ? signUpPage(context, listedCountries()) : signInPage(context))
  })

  /** Counts before it is tried, so that many tries at once are many. */
  function mayTry(req: Request, ...names: readonly string[]): boolean {
    const limits = [
      [`address ${req.ip}`, MAX_ATTEMPTS_BY_ADDRESS],
      ...names.map((name) => [name, MAX_ATTEMPTS_BY_EMAIL] as const),
    ] as const
    return limits.every(([name, most]) => {
      const tries = (attempts.get(name) ?? 0) + 1
      // The time runs from the first try.
      attempts.set(name, tries, { ttl: attempts.getRemainingTTL(name) || ATTEMPTS_LIFETIME })
      return tries <= most
    })
  }

  gateway.post('/sign-in', async (req, res) => {
    const { connection, session } = of(req)
    const again = (problem: string, status: number, wrong?: string): void => {
      const context = { connection, csrf: session.csrf, problem, wrong, typed: typedIn(req) }
      res.status(status).send(signInPage(context))
    }
    const form = SIGN_IN.safeParse(req.body)
    if (!form.success) return again(...firstProblem(form.error))
    const { email, password } = form.data
    const byEmail = `email ${people.nameOf(email)}`
    if (!mayTry(req, byEmail)) return again(waitABit(res), 429)
    const person = await people.signIn(email, password)
    if (person === undefined) return again('The email address or the password is not right.', 401, 'password')
    // Not those of the address: with an account of one's own one could try others for ever.
    attempts.delete(byEmail)
    pin(req, res, person.country, () => enter(req, res, person))
  })

  gateway.post('/sign-up', async (req, res) => {
    const { connection, session } = of(req)
    const again = (problem: string, status: number, wrong?: string): void => {
      const context = { connection, csrf: session.csrf, problem, wrong, typed: typedIn(req) }
      res.status(status).send(signUpPage(context, listedCountries()))
    }
    const form = SIGN_UP.safeParse(req.body)
    if (!form.success) return again(...firstProblem(form.error))
    const { password, ...profile } = form.data
    if (!mayTry(req)) return again(waitABit(res), 429)
    pin(req, res, profile.country, async () => {
      const person = await people.signUp(profile, password)
      if (person === undefined)
        again('There is an account with this email address. Please sign in.', 409, 'email')
      else await enter(req, res, person)
    })
  })

  async function enter(req: Request, res: Response, person: Person): Promise<void> {
    await sessions.renew(req, res, person.id)
    res.redirect(303, `/gateway/${of(req).connection.id}`)
  }

  gateway.post('/sign-out', async (req, res) => {
    await sessions.renew(req, res, undefined)
    res.redirect(303, `/gateway/${of(req).connection.id}`)
  })

  /** The return URL was approved when the app sent the person here. It must still be when the person goes back. */
  const mayGoBack = returnUrlGuard({
    ...shared,
    returnUrl: (req) => requests.get(req)?.connection.returnUrl,
    reserved: [ANSWER],
    onDeny: (decision, _req, res) => {
      if (decision.code === 'POLICY_UNAVAILABLE') return sendUnavailable(res as Response)
      const text =
        'The app does not take people back where it wanted to. Please go back to the app and start again.'
      ;(res as Response).status(400).send(messagePage('There is no way back', text))
    },
  })

  gateway.post('/consent', mayGoBack, async (req, res) => {
    const { connection, session } = of(req)
    const person = session.personId === undefined ? undefined : await people.find(session.personId)
    if (person === undefined) {
      res.redirect(303, `/gateway/${connection.id}`)
      return
    }
    pin(req, res, person.country, async () => {
      const problem = await complete(req, person)
      if (problem !== undefined) {
        const typed = typedIn(req)
        const context = { connection, csrf: session.csrf, problem, wrong: 'image-address', typed }
        res.status(400).send(consentPage(context, shown(req, person)))
        return
      }
      const ticked = (req.body ?? {}) as Record<string, unknown>
      const fields = connection.wishes
        .filter(({ field, mandatory }) => mandatory || ticked[field] === 'yes')
        .map(({ field }) => field)
      if (!(await connections.end(connection.id))) return sendEnded(res)
      const { appId, requestId, id: connectId } = connection
      const code = await connections.issueCode({ appId, requestId, connectId, personId: person.id, fields })
      await goBack(req, res, connection, 'authorized', code)
    })
  })

  /** Keeps what the account lacks and the person has filled in: only a picture can be lacking. Answers with what is wrong. */
  async function complete(req: Request, person: Person): Promise<string | undefined> {
    const wish = of(req).connection.wishes.find(({ field }) => field === 'image')
    if (wish === undefined || person.image !== '') return undefined
    const given = IMAGE.safeParse((req.body as Record<string, unknown> | undefined)?.['image-address'])
    if (!given.success) return 'The picture needs an https address.'
    if (given.data !== '') await people.change(person.id, 'image', given.data)
    else if (wish.mandatory) return 'This app needs the address of a picture of you.'
    return undefined
  }

  /** Back to the app, at the URL that was approved. */
  async function goBack(
    req: Request,
    res: Response,
    connection: Connection,
    result: 'authorized' | 'canceled',
    code?: string,
  ): Promise<void> {
    const answer = {
      request_id: connection.requestId,
      connect_id: connection.id,
      result,
      ...(code !== undefined && { code }),
    }
    const signature = await dependencies.ukey1?.signAnswer(connection.appId, answer)
    const signed = { ...answer, ...(signature !== undefined && { signature }) }
    safeRedirect(res, req, {
      parameters: Object.fromEntries(
        Object.entries(signed).map(([name, value]) => [`${ANSWER}[${name}]`, value]),
      ),
    })
  }

  gateway.post('/cancel', mayGoBack, async (req, res) => {
    const { connection } = of(req)
    if (!(await connections.end(connection.id))) return sendEnded(res)
    await goBack(req, res, connection, 'canceled')
  })

  return gateway
}

/** Each field that stands on a page is on record, also when a person sees their own. */
function shown(req: Request, person: Person): Person {
  return req.portcullis.audit.person(person.id, person, { record: 'person', purpose: 'shown to the person' })
}

/** What to say of a form, and of which field. What was not typed but sent by a program gets a general word. */
function firstProblem({ issues }: z.ZodError): [problem: string, status: number, wrong: string | undefined] {
  const [issue] = issues
  const field = String(issue?.path[0] ?? '')
  const known = (TYPED as readonly string[]).includes(field) || field === 'password'
  const message = issue?.code === 'invalid_type' ? undefined : issue?.message
  return [message ?? 'Please check what you have typed.', 400, known ? field : undefined]
}

function waitABit(res: Response): string {
  res.set('Retry-After', String(ATTEMPTS_LIFETIME / 1000))
  return 'Too many tries. Please wait a quarter of an hour.'
}

function sendEnded(res: Response): void {
  res.status(404).send(messagePage('This sign-in has ended', 'Please go back to the app and start again.'))
}

function sendUnavailable(res: Response): void {
  res
    .status(503)
    .set('Retry-After', '2')
    .send(
      messagePage(
        'Please wait a moment',
        'The service is not available just now. Please try again in a few seconds.',
      ),
    )
}

/** What a Content Security Policy calls the target: its origin, or its scheme where there is no authority of the web. */
function formTarget(returnUrl: string): string {
  const { protocol, origin, hostname } = new URL(returnUrl)
  // The grammar of CSP has no IPv6 addresses.
  return origin === 'null' || hostname.startsWith('[') ? protocol : origin
}

const TYPED = ['email', 'firstname', 'surname', 'country', 'language', 'image', 'image-address'] as const

/** What goes back into the form after a mistake: everything but passwords. */
function typedIn(req: Request): Record<string, string> {
  const body = (req.body ?? {}) as Record<string, unknown>
  const typed = TYPED.map((name) => [name, body[name]])
  return Object.fromEntries(typed.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

function listedCountries(): string[] {
  const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(65 + index))
  return letters.flatMap((a) => letters.map((b) => a + b)).filter((code) => isCountry(code))
}

function isCountry(code: string): boolean {
  return (
    !NOT_COUNTRIES.has(code) &&
    COUNTRIES.of(code) !== undefined &&
    new Intl.Locale(`und-${code}`).region === code
  )
}

/** Codes that have a name but no citizens. */
const NOT_COUNTRIES: ReadonlySet<string> = new Set(
  'AC AQ BV CP CQ DG EA EU EZ GS HM IC QO TA TF UM UN XA XB ZZ'.split(' '),
)
