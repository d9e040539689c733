import express, { type Express } from 'express'
import type { ManagedPolicyStore, NonceStore, PolicySource } from 'portcullis'
import type { AuditSink, FindRecentEvents } from 'portcullis/audit'
import { consoleTokens, createConsole, type ConsoleOptions } from 'portcullis/console'
import { createMetrics, createReadiness, type Metrics, type ReadinessProbe } from 'portcullis/metrics'
import { createAccessLog } from './access-log.ts'
import { createAccount, OWN_POLICY } from './account/account.ts'
import { createApi } from './api.ts'
import { demoScript, STYLE } from './assets.ts'
import { createConnections } from './connections.ts'
import { consoleStateOf } from './console-state.ts'
import { DEMO_BROWSER_APP, type DemoApp } from './demo-apps.ts'
import { createDevices } from './devices.ts'
import { answerErrors, answerNotFound } from './errors.ts'
import { createGateway } from './gateway/gateway.ts'
import { createLimits, type Counts } from './limits.ts'
import type { Log } from './log.ts'
import type { Mailer } from './mail.ts'
import { createMailCodes } from './mail-codes.ts'
import { demoPage } from './pages/demo-page.ts'
import { homePage } from './pages/home-page.ts'
import { createOperator } from './operator.ts'
import { createForget } from './forget.ts'
import { createHealth } from './health.ts'
import type { Homes } from './homes.ts'
import { regionsPage } from './pages/regions-page.ts'
import { createPeople } from './people.ts'
import { createRefusals } from './refusals.ts'
import { onlyProxies } from './proxies.ts'
import { httpsOnly, letFormsLeadBack, securityHeaders } from './security-headers.ts'
import { indexVaultOf, vaultOf } from './secrets.ts'
import { createSessions } from './sessions.ts'
import type { Settings } from './settings.ts'
import type { Storage } from './storage.ts'
import type { Ukey1 } from './ukey1.ts'
import { lastRefusal } from './why.ts'

export interface GatewayParts {
  readonly settings: Pick<
    Settings,
    'production' | 'trustProxy' | 'onlyProxies' | 'secrets' | 'metricsToken' | 'appFields'
  >
  /** The location of this instance. */
  readonly region: string
  readonly store: ManagedPolicyStore
  readonly policies: PolicySource
  readonly storage: Storage
  /** The stores of people, one for each jurisdiction. */
  readonly homes: Homes
  readonly nonces: NonceStore
  readonly sink: AuditSink
  readonly counts: Counts
  readonly mail: Mailer
  readonly mailsArePrinted: boolean
  readonly log: Log
  /** The legacy signature scheme of Ukey1. Left out: no app may use it. */
  readonly ukey1?: Ukey1 | undefined
  /** The apps on the front page; empty in production. */
  readonly demoApps: readonly DemoApp[]
  /** The token for `/why`, which explains the last refusal. Left out in production. */
  readonly whyToken?: string | undefined
  /** The token with which an operator signs in to the console. Left out: there is no console. */
  readonly consoleToken?: string | undefined
  /** Finds the newest audit events, for the console and for the access log of a person. */
  readonly recentEvents: FindRecentEvents
  publicUrl(): string
  /** The URLs of the instances at other locations, by location. */
  otherUrls(): Readonly<Record<string, string>>
  /** Shared by the instances of a process. Default: those of this instance. */
  readonly metrics?: Metrics | undefined
  readonly readiness?: ReadinessProbe | undefined
  /** Called with errors of the server itself. */
  onFault(error: unknown): void
}

/** Creates one instance of the gateway as an Express app. It does not listen yet. */
export async function createExampleApp(parts: GatewayParts): Promise<Express> {
  const { settings, region, storage, policies, store, log, otherUrls } = parts
  const { secrets } = settings
  const vault = vaultOf(secrets)
  const connections = createConnections(storage, vault)
  const mailCodes = createMailCodes(storage, vault)
  const people = createPeople(parts.homes, vault, indexVaultOf(secrets), (id) => forget(id))
  const sessions = createSessions({
    storage,
    vault,
    people,
    csrfKey: secrets.csrf,
    publicUrl: parts.publicUrl,
  })
  const forget = createForget({ storage, connections, sessions, mailCodes })
  const {
    metrics = createMetrics({ policies, regions: { status: () => parts.homes.status?.() ?? [] } }),
    readiness = createReadiness({ policies, sink: parts.sink }),
  } = parts
  const { onDecision } = metrics
  const refusals = createRefusals({ production: settings.production, log, onDecision })
  const limits = createLimits(parts.counts, secrets.limits, log)
  const urlOf = (location: string): string | undefined =>
    location === region ? parts.publicUrl() : otherUrls()[location]
  const nameOf = async (appId: string): Promise<string> => {
    const { name } = ((await store.read(appId))?.policy ?? {}) as { name?: string }
    return name ?? appId
  }
  /** Dependencies of both the API and the pages. */
  const common = {
    people,
    limits,
    region,
    log,
    vault,
    connections,
    audit: {
      sink: metrics.sink('audit', parts.sink),
      pseudonymKey: secrets.pseudonyms,
    },
    ukey1: parts.ukey1,
  }
  const pages = {
    ...common,
    urlOf,
    mail: parts.mail,
    mailsArePrinted: parts.mailsArePrinted,
    devices: createDevices(secrets.devices),
    mailCodes,
    sessions,
  }

  const app = express()
  app.set('trust proxy', [...settings.trustProxy])
  app.set('query parser', 'simple')
  app.use(securityHeaders(() => Object.values(otherUrls())))
  if (settings.onlyProxies) app.use(onlyProxies)
  if (settings.production) app.use(httpsOnly)
  app.use(createHealth({ metrics, readiness, homes: parts.homes, token: settings.metricsToken }))
  app.use(front(parts))
  app.use(
    '/auth/v2',
    createApi({
      ...common,
      // Not for the pages: their guards are told the country of the person.
      judgedKey: secrets.judgements,
      policies,
      refusals,
      nonces: metrics.nonces(parts.nonces),
      urlOf: (location) => urlOf(location) ?? parts.publicUrl(),
      publicUrl: parts.publicUrl,
      appFields: settings.appFields,
      nameOf,
    }),
  )
  app.use(
    '/gateway/:connectId',
    letFormsLeadBack,
    createGateway({ ...pages, shared: { ...refusals.told, policies } }),
  )
  const accessLog = createAccessLog({
    pseudonymKey: secrets.pseudonyms,
    recentEvents: parts.recentEvents,
    nameOf: async (appId) => (appId === OWN_POLICY.appId ? OWN_POLICY.name : nameOf(appId)),
    gatewayName: OWN_POLICY.name,
  })
  app.use('/account', createAccount({ ...pages, storage, accessLog, told: refusals.told }))
  if (parts.consoleToken !== undefined) {
    // An operator who answers a person rarely knows more than the email address.
    const idOf = async (person: string): Promise<string> =>
      person.includes('@') ? ((await people.findByEmail(person))?.person.id ?? person) : person
    const accessReport = async (person: string) => accessLog.report(await idOf(person))
    app.use('/console', consoleOf(parts, parts.consoleToken, accessReport))
    app.use('/operator', createOperator({ people, sessions, log, token: parts.consoleToken }))
  }
  if (parts.whyToken !== undefined) app.get('/why', lastRefusal(refusals, parts.whyToken))
  if (!settings.production)
    app.get('/regions', async (_req, res) => {
      res
        .set('Refresh', '2')
        .set('Cache-Control', 'no-store')
        .send(regionsPage(await parts.homes.holdings()))
    })
  app.use(answerNotFound)
  app.use(answerErrors(parts.onFault))
  return app
}

/** The dashboard for apps, their keys and policies. The token grants all rights. */
function consoleOf(
  parts: GatewayParts,
  token: string,
  accessReport: ConsoleOptions['accessReport'],
): ReturnType<typeof createConsole> {
  return createConsole({
    store: parts.store,
    sink: parts.sink,
    pseudonymKey: parts.settings.secrets.pseudonyms,
    authorize: consoleTokens([{ token, name: 'operator' }]),
    state: consoleStateOf(parts.storage),
    recentEvents: parts.recentEvents,
    judgedKey: parts.settings.secrets.judgements,
    accessReport,
    regions: parts.homes.status,
    onError: parts.onFault,
  })
}

/** The routes without guards: the front page, the demo shop and the style sheet. */
function front({ demoApps, region, otherUrls, consoleToken, settings }: GatewayParts): express.Router {
  const router = express.Router()
  const hasConsole = consoleToken !== undefined
  const hasRegions = !settings.production
  const others = () => Object.entries(otherUrls()).map(([location, url]) => ({ location, url }))
  router.get(
    '/assets/style.css',
    (_req, res) => void res.type('css').set('Cache-Control', 'no-cache').send(STYLE),
  )
  router.get(
    '/',
    (_req, res) =>
      void res.send(homePage({ apps: demoApps, location: region, others: others(), hasConsole, hasRegions })),
  )
  if (demoApps.length === 0) return router
  router.get('/assets/demo.js', (_req, res) => {
    res.type('js').set('Cache-Control', 'no-cache').send(demoScript(DEMO_BROWSER_APP))
  })
  router.get(['/demo', '/demo/callback/'], (_req, res) => void res.send(demoPage()))
  return router
}
