import type * as z from 'zod/mini'
import { isPortcullisError, type ExpectationBroken, type PolicyError } from '../errors.ts'
import type { GuardRequest, GuardResponse } from '../http/handler.ts'
import {
  LARGEST,
  LARGEST_OF_ANYONE,
  readJson,
  sendAnswer,
  sendConsoleProblem,
  sendEvents,
  type Answer,
} from './exchange.ts'
import { CONSOLE_PROBLEMS, ConsoleProblem } from './problems.ts'
import type { Access, Route } from './route.ts'
import { comesFromElsewhere, provesOrigin, type Session, type Sessions } from './sessions.ts'
import type { Entry, Trail } from './trail.ts'

/** What the API needs to answer requests. */
export interface Api {
  readonly routes: readonly Route[]
  readonly sessions: Sessions
  readonly trail: Trail
  onError(error: unknown): void
}

interface Asked {
  readonly req: GuardRequest
  readonly res: GuardResponse
  readonly requestId: string
  /** The path after `api`. */
  readonly path: string
  readonly query: URLSearchParams
}

/** Answers one request of the API. Never rejects. */
export async function answerApi(api: Api, asked: Asked): Promise<void> {
  const { res, requestId } = asked
  res.setHeader('X-Request-Id', requestId)
  try {
    const answer = await run(api, asked)
    if (answer.events === undefined) sendAnswer(res, answer)
    else await sendEvents(res, answer.events)
  } catch (error) {
    const problem = problemOf(error)
    const { status } = CONSOLE_PROBLEMS[problem.problem]
    if (status >= 500) api.onError(error)
    sendConsoleProblem(res, problem.problem, requestId, problem.members)
  }
}

async function run({ routes, sessions, trail }: Api, asked: Asked): Promise<Answer> {
  const { req, requestId } = asked
  const { route, params } = findRoute(routes, asked)
  const changes = route.method !== 'GET'
  const entry = (session?: Session, purpose?: string): Entry => ({
    requestId,
    operation: `console ${route.method} ${route.path}`,
    appId: params['appId'],
    name: session?.name,
    purpose,
  })
  if (changes && comesFromElsewhere(req)) throw new ConsoleProblem('FORGERY_SUSPECTED')
  const session = route.access === 'anyone' ? NOBODY : await sessions.find(req)
  if (session === undefined) throw new ConsoleProblem('SIGNED_OUT')
  if (changes && route.access !== 'anyone' && !provesOrigin(req, session))
    throw new ConsoleProblem('FORGERY_SUSPECTED')
  if (!admits(route.access, session)) {
    await trail.refused(entry(session), CONSOLE_PROBLEMS.RIGHT_MISSING.status, false)
    throw new ConsoleProblem('RIGHT_MISSING', { missing: route.access })
  }
  if (route.conditional === true && req.headers['if-match'] === undefined)
    throw new ConsoleProblem('REVISION_REQUIRED')
  const largest = route.access === 'anyone' ? LARGEST_OF_ANYONE : LARGEST
  const body = route.body === undefined ? undefined : readBody(route.body(), await readJson(req, largest))
  const exchange = { req, res: asked.res, requestId, params, query: asked.query, body, session }
  if (!changes && route.personal !== true) return route.handle(exchange)

  const recorded = entry(route.access === 'anyone' ? undefined : session, purposeOf(body, asked.query))
  await trail.begin(recorded)
  try {
    const answer = await route.handle(exchange)
    if (answer.name !== undefined) await trail.begin({ ...recorded, name: answer.name })
    return answer
  } catch (error) {
    await trail.refused(recorded, CONSOLE_PROBLEMS[problemOf(error).problem].status, true)
    throw error
  }
}

/** The session on routes that need no sign-in. */
const NOBODY: Session = { id: '', name: '', rights: new Set(), csrf: '' }

function admits(access: Access, { rights }: Session): boolean {
  return typeof access === 'string' || access.some((right) => rights.has(right))
}

function purposeOf(body: unknown, query: URLSearchParams): string | undefined {
  const { note } = Object(body) as { note?: unknown }
  const purpose = typeof note === 'string' ? note : query.get('why')
  return purpose === null || purpose === '' ? undefined : purpose
}

function findRoute(
  routes: readonly Route[],
  { req, path }: Asked,
): { route: Route; params: Readonly<Record<string, string>> } {
  const fitting = routes.flatMap((route) => {
    const params = match(route.path, path)
    return params === undefined ? [] : [{ route, params }]
  })
  if (fitting.length === 0) throw new ConsoleProblem('NOT_FOUND')
  const method = req.method === 'HEAD' ? 'GET' : req.method
  const found = fitting.find(({ route }) => route.method === method)
  if (found !== undefined) return found
  const allowed = fitting.map(({ route }) => route.method).join(', ')
  throw new ConsoleProblem('METHOD_NOT_ALLOWED', { detail: `allowed: ${allowed}` })
}

/** The parameters of a path; `undefined` if it does not match the pattern. */
function match(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')]
  if (wanted.length !== given.length) return undefined
  const params = Object.create(null) as Record<string, string>
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (!part.startsWith(':')) {
      if (part !== value) return undefined
      continue
    }
    try {
      params[part.slice(1)] = decodeURIComponent(value)
    } catch {
      return undefined
    }
    if (value === '') return undefined
  }
  return params
}

function readBody(schema: object, given: unknown): unknown {
  const result = (schema as z.ZodMiniType).safeParse(given)
  if (result.success) return result.data
  const issues = result.error.issues.map(({ path, message }) => ({
    path: path.map(String).join('.'),
    message,
  }))
  throw new ConsoleProblem('REQUEST_INVALID', { issues })
}

/** Converts an error into the problem that the caller sees. */
function problemOf(error: unknown): ConsoleProblem {
  if (error instanceof ConsoleProblem) return error
  if (!isPortcullisError(error)) return new ConsoleProblem('INTERNAL')
  switch (error.code) {
    case 'POLICY_INVALID':
      return new ConsoleProblem('DOCUMENT_REFUSED', { issues: (error as PolicyError).issues })
    case 'EXPECTATION_BROKEN':
      return new ConsoleProblem('EXPECTATION_FAILED', { failures: (error as ExpectationBroken).failures })
    case 'REVISION_CONFLICT':
      return new ConsoleProblem('REVISION_STALE')
    case 'UNAVAILABLE':
      return new ConsoleProblem('UNAVAILABLE')
    default:
      return new ConsoleProblem('INTERNAL')
  }
}
