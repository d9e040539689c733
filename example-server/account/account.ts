import { Router, type Request, type Response } from 'express'
import { z } from 'zod'
import { createPolicySource, memoryStore } from 'portcullis'
import type { AccessLog } from '../access-log.ts'
import { receiveBegunForm } from '../begun-form.ts'
import type { Connections } from '../connections.ts'
import { createDesk, type EntryDesk, type EntryParts } from '../entry/desk.ts'
import { createEntry } from '../entry/entry.ts'
import { passwordChanged } from '../entry/reset.ts'
import { accessLogPage } from '../pages/access-log-page.ts'
import { accountPage, passwordPage } from '../pages/account-pages.ts'
import { signInPage } from '../pages/entry-pages.ts'
import { weaknessOf } from '../passwords.ts'
import type { Account } from '../people.ts'
import { CURRENT, NEW_PASSWORD } from '../profile.ts'
import type { Refusals } from '../refusals.ts'
import { createPin, type PinParts } from '../regions.ts'
import { changeVisit, receiveVisits, sessionOf, shown, type AuditParts } from '../visits.ts'
import { addDelete, resumeDeletion } from './delete.ts'
import { addFactor } from './factor.ts'
import type { Storage } from '../storage.ts'

export interface AccountParts extends Omit<EntryParts, 'pin'> {
  readonly told: Refusals['told']
  readonly region: string
  readonly urlOf: PinParts['urlOf']
  readonly connections: Connections
  readonly storage: Storage
  readonly audit: AuditParts
  readonly accessLog: AccessLog
}

/** The gateway is an app of its own here: what people see of themselves is recorded, and stays where it must. */
export const OWN_POLICY = {
  appId: 'gateway-account',
  name: 'Example gateway',
  serverOnly: { mode: 'off' },
  ipWhitelist: { mode: 'off' },
  domainProtect: { mode: 'off' },
  returnUrlGuard: { mode: 'off' },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
} as const

/** Who is signed in, behind `createAccount`. */
export const accountOf = (req: Request): Account => sessionOf(req).account as Account

/** What was done, by the word in the query that a redirect leaves. */
const DONE: Readonly<Record<string, string>> = {
  session: 'The session was ended.',
  sessions: 'All other sessions were ended.',
  app: 'The app can no longer read your data.',
  password: 'Your password was changed. All other sessions were ended.',
  'factor-off': 'The second factor is off.',
}

/** The account pages, mounted at /account: sessions, apps, password, second factor, access log and deletion. */
export function createAccount(parts: AccountParts): Router {
  const { sessions, region, urlOf, audit, told } = parts
  const policies = createPolicySource({ store: memoryStore([{ policy: OWN_POLICY }]) })
  const shared = { ...told, policies, appId: () => OWN_POLICY.appId }
  const pin = createPin({ shared, region, urlOf })
  const desk = createDesk({ ...parts, pin })
  const router = Router()

  router.use((req, _res, next) => {
    changeVisit(req, { base: '/account' })
    next()
  })
  router.post('/sign-up/begun', ...receiveBegunForm(parts.vault))
  router.use(receiveVisits({ shared, audit, sessions }))
  router.use(createEntry({ ...parts, pin }))
  router.post('/delete', resumeDeletion({ desk, storage: parts.storage }))
  router.use((req, res, next) => {
    const { account, awaiting } = sessionOf(req)
    if (account !== undefined) pin(req, res, account.person.country, () => next())
    else if (awaiting !== undefined) res.redirect(303, '/account/second-factor')
    else if (req.method === 'POST' || req.path !== '/') res.redirect(303, '/account/sign-in')
    else res.send(signInPage(desk.context(req)))
  })

  router.get('/', (req, res) => showAccount(req, res, desk, parts.connections))
  router.get('/access-log', async (req, res) => {
    const accesses = await parts.accessLog.list(accountOf(req).person.id)
    res.format({
      html: () => res.send(accessLogPage(desk.context(req), accesses)),
      json: () => res.json(accesses),
    })
  })
  addSessions(router, desk)
  addApps(router, parts.connections)
  addPassword(router, desk)
  addFactor(router, { desk, storage: parts.storage })
  addDelete(router, { desk, storage: parts.storage })
  return router
}

async function showAccount(
  req: Request,
  res: Response,
  desk: EntryDesk,
  connections: Connections,
): Promise<void> {
  const { person, secondFactor } = accountOf(req)
  const [sessions, apps] = await Promise.all([
    desk.sessions.list(person.id),
    connections.grantedApps(person.id),
  ])
  const view = {
    person: shown(req, person),
    hasSecondFactor: secondFactor !== undefined,
    recoveryCodesLeft: secondFactor?.recovery.length ?? 0,
    sessions,
    here: sessionOf(req).name,
    apps,
    done: typeof req.query['done'] === 'string' ? DONE[req.query['done']] : undefined,
  }
  res.send(accountPage(desk.context(req), view))
}

function addSessions(router: Router, { sessions }: EntryDesk): void {
  router.post('/end-session', async (req, res) => {
    await sessions.revoke(accountOf(req).person.id, String((req.body as { session?: unknown }).session))
    res.redirect(303, '/account?done=session')
  })
  router.post('/end-other-sessions', async (req, res) => {
    const { id } = accountOf(req).person
    const others = (await sessions.list(id)).filter(({ name }) => name !== sessionOf(req).name)
    await Promise.all(others.map(({ name }) => sessions.revoke(id, name)))
    res.redirect(303, '/account?done=sessions')
  })
}

function addApps(router: Router, connections: Connections): void {
  router.post('/revoke-app', async (req, res) => {
    await connections.revoke(accountOf(req).person.id, String((req.body as { app?: unknown }).app))
    res.redirect(303, '/account?done=app')
  })
}

const PASSWORD = z.object({ current: CURRENT, password: NEW_PASSWORD })

function addPassword(router: Router, desk: EntryDesk): void {
  const { people, sessions, limits, log, mail } = desk
  router.get('/password', (req, res) => void res.send(passwordPage(desk.context(req))))
  router.post(
    '/password',
    (req, res, next) => {
      if (desk.parse(PASSWORD, req, res, passwordPage) !== undefined) next()
    },
    limits('passwords', {
      key: (req) => `session ${sessionOf(req).name}`,
      refuse: (req, res) =>
        desk.again(req, res, passwordPage, {
          problem: 'Too many wrong passwords. Please wait 15 minutes.',
          status: 429,
        }),
      countsOnlyFailures: true,
    }),
    async (req, res) => {
      const { current, password } = PASSWORD.parse(req.body)
      const person = shown(req, accountOf(req).person)
      if (!(await people.isPassword(person.id, current))) {
        log('password change', { result: 'wrong password', request: req.portcullis.requestId })
        const problem = 'The current password is wrong.'
        return desk.again(req, res, passwordPage, { problem, wrong: 'current', status: 401 })
      }
      const weakness = await weaknessOf(password, [person.email, person.firstname, person.surname])
      if (weakness !== undefined)
        return desk.again(req, res, passwordPage, { problem: weakness, wrong: 'password', status: 400 })
      const changed = await people.setPassword(person.id, password)
      log('password change', { result: 'ok', request: req.portcullis.requestId })
      mail(passwordChanged(person.email))
      await sessions.begin(req, res, changed)
      res.redirect(303, '/account?done=password')
    },
  )
}
