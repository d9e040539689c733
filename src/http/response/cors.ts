import cors, { type CorsOptions, type CorsRequest } from 'cors'
import type { Effect } from '../../decision.ts'
import { decideDomainProtect, type CorsGrant } from '../../guards/domain-protect.ts'
import type { Judgement } from '../../guards/guard.ts'
import type { RequestContext } from '../request/context.ts'
import type { GuardResponse } from '../handler.ts'
import { headerNamesOf } from './partial-response.ts'

/** The object that the `cors` package gets in place of the request: an origin that we have allowed, and its grant. */
interface Facade extends CorsRequest {
  readonly grant: CorsOptions
}

/** Writes the response to a preflight. With `origin: true`, `cors` names the origin of the request. */
const writePreflight = cors<Facade>(({ grant }, done) => done(null, { origin: true, ...grant }))

/** Headers of a refusal that a page can use, besides the problem document. */
const EXPOSED_BY_REFUSALS = ['x-request-id', 'retry-after']

const VARIES = ['Origin']
const VARIES_OF_PREFLIGHTS = ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers']

/** More than any page requests. */
const LONGEST_REQUEST = 4_096
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/**
 * Writes the result of `domainProtect` to the response, in `enforce`: the CORS headers of an allowed origin or none, and `Vary`
 * in any case. Returns true if it has answered a preflight.
 */
export function writeCors(
  { decision, outcome: grant }: Judgement<CorsGrant>,
  context: RequestContext,
  res: GuardResponse,
): boolean {
  return writeGrant(grant, decision.effect, context, res)
}

function writeGrant(
  grant: CorsGrant | undefined,
  effect: Effect,
  context: RequestContext,
  res: GuardResponse,
): boolean {
  // Removes CORS headers of earlier mounts and of other middleware: only this grant counts.
  let varies = false
  const names = headerNamesOf(res)
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string
    if (name.startsWith('access-control-')) res.removeHeader(name)
    else if (name === 'vary') varies = true
  }
  const { preflight } = context.facts
  const fields = preflight ? VARIES_OF_PREFLIGHTS : VARIES
  if (varies) vary(res, fields)
  else res.setHeader('Vary', preflight ? VARIES_OF_PREFLIGHTS.join(', ') : 'Origin')
  if (grant === undefined) return false
  if (preflight && effect === 'allow') {
    answerPreflight(res, grant, context.facts.requestedHeaders)
    return true
  }
  const { credentials, exposedHeaders } = context.narrowCors(grant.settings)
  res.setHeader('Access-Control-Allow-Origin', grant.origin)
  if (credentials) res.setHeader('Access-Control-Allow-Credentials', 'true')
  const exposed =
    effect === 'deny' ? [...new Set([...exposedHeaders, ...EXPOSED_BY_REFUSALS])] : exposedHeaders
  if (exposed.length > 0) res.setHeader('Access-Control-Expose-Headers', exposed.join(','))
  return false
}

/**
 * Lets a page of an allowed origin read a refusal of any guard, if the app is known and its `domainProtect` enforces. Otherwise
 * changes nothing.
 */
export function writeCorsOfRefusal(context: RequestContext, res: GuardResponse): void {
  const { policy, facts } = context
  if (policy?.domainProtect?.mode !== 'enforce') return
  const known = context.grantBy(policy)
  const grant = known === undefined ? decideDomainProtect(policy, facts).outcome : known.grant
  if (known === undefined) context.keepGrant(policy, grant)
  writeGrant(grant, 'deny', context, res)
}

/** Responds with 204, and with the methods and headers that pages of the origin may use. The browser compares them. */
function answerPreflight(
  res: GuardResponse,
  { origin, settings }: CorsGrant,
  requestedHeaders: string | undefined,
): void {
  const { methods, headers, credentials, maxAge } = settings
  const grant: CorsOptions = {
    credentials: credentials === true,
    allowedHeaders: [...(headers ?? namesIn(requestedHeaders))],
    ...(methods !== undefined && { methods: [...methods] }),
    ...(maxAge !== undefined && { maxAge }),
  }
  writePreflight({ method: 'OPTIONS', headers: { origin }, grant }, res, () => undefined)
}

/** The header names that a preflight requests; empty if the text is not a list of names, or is longer than any page sends. */
function namesIn(text = ''): string[] {
  if (text.length > LONGEST_REQUEST) return []
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return names.every((name) => TOKEN.test(name)) ? names : []
}

/** Adds missing fields to `Vary`. */
function vary(res: GuardResponse, fields: readonly string[]): void {
  const present = res.getHeader('Vary')
  if (present === 'Origin' && fields === VARIES) return
  const before = [present ?? ''].flat().join(', ')
  const known = new Set(before.split(',').map((name) => name.trim().toLowerCase()))
  if (known.has('*')) return
  const added = fields.filter((name) => !known.has(name.toLowerCase()))
  if (added.length > 0) res.setHeader('Vary', (before === '' ? added : [before, ...added]).join(', '))
}
