import type { Decision, GuardName } from '../decision.ts'
import { GUARD_NAMES } from '../policy/sections.ts'
import { isTold, warnOfSetup } from '../setup-warning.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import type { AppIdReader } from './judged-request.ts'
import { routeParameterOf } from './request/app-id.ts'
import type { RequestContext } from './request/context.ts'
import { headerNamesOf } from './response/partial-response.ts'

/** How many more decisions of each guard are checked. They show how the server is set up; later ones cost nothing. */
type Looks = Record<GuardName, number>

/** Shared by both builds of the package. */
const looks = ((globalThis as { [key: symbol]: unknown })[Symbol.for('portcullis.setupLooks')] ??=
  Object.fromEntries(GUARD_NAMES.map((name) => [name, 1000]))) as Looks

/**
 * Warns, once per process for each code, if a request reveals a mistake in the way that guards are mounted. Called when the
 * decision is recorded and nothing is written yet. It decides nothing and never throws.
 */
export function checkSetup(
  decision: Decision,
  context: RequestContext,
  res: GuardResponse,
  appId: AppIdReader,
): void {
  const { guard } = decision
  if (looks[guard] <= 0) return
  looks[guard] -= 1
  try {
    const { req } = context
    checkHeaders(req)
    if (decision.code === 'APP_UNIDENTIFIED') checkRouteParameter(req, appId)
    if (guard === 'serverOnly') checkBody(context)
    else if (guard === 'domainProtect') checkCors(context, res)
    else if (guard === 'auditAccess') checkOrder(context)
  } catch {
    // The guards refuse a request that cannot be read.
  }
}

function checkHeaders({ rawHeaders, headers }: GuardRequest): void {
  if (isTold('PORTCULLIS_RAW_HEADERS_MISSING') || (rawHeaders as unknown[] | undefined)?.length) return
  if (Object.keys(headers ?? {}).length > 0) warnOfSetup('PORTCULLIS_RAW_HEADERS_MISSING')
}

/** A path that has the parameter always gives it a value, so no caller can cause this. */
function checkRouteParameter({ params }: GuardRequest, appId: AppIdReader): void {
  const name = routeParameterOf(appId)
  if (name === undefined || Object.hasOwn((params ?? {}) as object, name)) return
  warnOfSetup('PORTCULLIS_ROUTE_PARAMETER_MISSING')
}

/** Content that was read without keeping its bytes. */
function checkBody({ req, facts }: RequestContext): void {
  if (isTold('PORTCULLIS_BODY_PARSER_AHEAD') || !(req.readableDidRead || req.readableEnded)) return
  if ((req as { rawBody?: unknown }).rawBody instanceof Uint8Array) return
  if (facts.message().body.kind === 'unavailable') warnOfSetup('PORTCULLIS_BODY_PARSER_AHEAD')
}

/** CORS headers that no earlier `domainProtect` can have written. */
function checkCors({ decisions }: RequestContext, res: GuardResponse): void {
  if (isTold('PORTCULLIS_CORS_BESIDE') || decisions.filter(isOf('domainProtect')).length > 1) return
  if (headerNamesOf(res).some((name) => name.startsWith('access-control-')))
    warnOfSetup('PORTCULLIS_CORS_BESIDE')
}

/** Decisions before the first audit. */
function checkOrder({ decisions }: RequestContext): void {
  if (isTold('PORTCULLIS_GUARD_BEFORE_AUDIT')) return
  const first = decisions.findIndex(isOf('auditAccess'))
  if (first > 0) warnOfSetup('PORTCULLIS_GUARD_BEFORE_AUDIT')
}

function isOf(guard: GuardName): (decision: Decision) => boolean {
  return (decision) => decision.guard === guard
}
