import { createPseudonyms } from '../audit/event.ts'
import type { GuardRequest, GuardResponse, RequestHandler } from '../http/handler.ts'
import { randomId } from '../random-id.ts'
import { answerApi, type Api } from './api.ts'
import type { Desk } from './desk.ts'
import { createDrafts } from './drafts.ts'
import { sendConsoleProblem, setSecurityHeaders, targetOf } from './exchange.ts'
import { openApiDocument } from './openapi.ts'
import { readConsoleOptions, type ConsoleOptions } from './options.ts'
import { sendPage } from './pages.ts'
import { appRoutes, firstApps } from './routes/apps.ts'
import { draftRoutes } from './routes/drafts.ts'
import { entryRoutes } from './routes/entries.ts'
import { eventRoutes } from './routes/events.ts'
import { historyRoutes } from './routes/history.ts'
import { judgementRoutes } from './routes/judgement.ts'
import { keyUseRoutes } from './routes/key-uses.ts'
import { keyHolderRoutes } from './routes/key-holders.ts'
import { keyRoutes } from './routes/keys.ts'
import { listRoutes } from './routes/lists.ts'
import { peopleRoutes } from './routes/people.ts'
import { regionRoutes } from './routes/regions.ts'
import { policyRoutes } from './routes/policy.ts'
import { sessionRoutes } from './routes/session.ts'
import { trialRoutes } from './routes/trial.ts'
import { route, type Route } from './route.ts'
import { createSessions } from './sessions.ts'
import { memoryConsoleState } from './state.ts'
import { createTrail } from './trail.ts'

/**
 * Creates the console: a dashboard for the policies and keys of your apps, and the API that it uses. Mount it under any path of
 * an Express app (4 or 5) or another connect-style app: `app.use('/console', createConsole({ store, authorize, sink, pseudonymKey
 * }))`.
 *
 * @throws ConfigError
 */
export function createConsole(options: ConsoleOptions): RequestHandler {
  const api = apiOf(readConsoleOptions(options))
  return (req, res, next) => {
    const requestId = randomId()
    setSecurityHeaders(res)
    const { path, query } = targetOf(req)
    if (path === '/api' || path.startsWith('/api/')) {
      void answerApi(api, { req, res, requestId, path: path.slice('/api'.length), query })
      return
    }
    if (path === '/' && leadToSlash(req, res)) return
    if (sendPage(req, res, path)) return
    if (req.method === 'GET' || req.method === 'HEAD') sendConsoleProblem(res, 'NOT_FOUND', requestId)
    else next()
  }
}

function apiOf(options: Readonly<ConsoleOptions>): Api {
  const {
    store,
    sink,
    recentEvents,
    judgedKey,
    accessReport,
    regions,
    now = Date.now,
    onError = () => undefined,
  } = options
  const pseudonymise = createPseudonyms(options.pseudonymKey)
  const state = options.state ?? memoryConsoleState(now)
  const desk: Desk = {
    store,
    recentEvents,
    judgedKey,
    accessReport,
    regions,
    drafts: createDrafts(state, now),
    now,
    onError,
  }
  const sessions = createSessions(options, state, now)
  const offers = {
    lists: store.lists !== undefined,
    events: recentEvents !== undefined,
    judgements: recentEvents !== undefined && judgedKey !== undefined,
    reports: accessReport !== undefined,
    regions: regions !== undefined,
  }
  const routes: Route[] = [
    ...sessionRoutes(sessions, offers, () => firstApps(desk), options.signInUrl),
    ...appRoutes(desk),
    ...draftRoutes(desk),
    ...policyRoutes(desk),
    ...entryRoutes(desk),
    ...historyRoutes(desk),
    ...keyRoutes(desk),
    ...keyHolderRoutes(desk),
    ...keyUseRoutes(desk),
    ...trialRoutes(desk),
    ...eventRoutes(desk, sessions),
    ...judgementRoutes(desk),
    ...peopleRoutes(desk),
    ...regionRoutes(desk),
    ...listRoutes(desk),
  ]
  routes.push(
    route({
      method: 'GET',
      path: '/openapi.json',
      access: ['look'],
      summary: 'This document.',
      handle: async () => ({ body: openApiDocument(routes) }),
    }),
  )
  return { routes, sessions, trail: createTrail(sink, pseudonymise, now, onError), onError }
}

/** Redirects to a path that ends with a slash. The pages use relative URLs, so that they work behind any prefix and proxy. */
function leadToSlash({ originalUrl, url }: GuardRequest, res: GuardResponse): boolean {
  const [path = ''] = (originalUrl ?? url ?? '').split('?')
  if (path === '' || path.endsWith('/')) return false
  const last = path.slice(path.lastIndexOf('/') + 1)
  res.statusCode = 302
  // Begins with `./`, so that no name can be taken for a scheme or a host.
  res.setHeader('Location', `./${last}/`)
  res.setHeader('Content-Length', 0)
  res.end()
  return true
}
