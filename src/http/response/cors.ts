import cors, { type CorsOptions, type CorsRequest } from 'cors'
import type { Effect } from '../../decision.ts'
import { decideDomainProtect, type CorsGrant } from '../../guards/domain-protect.ts'
import type { Judgement } from '../../guards/guard.ts'
import type { RequestContext } from '../request/context.ts'
import type { GuardResponse } from '../handler.ts'

/** What the `cors` package sees in place of the request: an origin that we have allowed, and what to grant it. */
interface Facade extends CorsRequest {
  readonly grant: CorsOptions
}

/** Writes the answer to a preflight. `origin: true` means "name the origin of the request". */
const writePreflight = cors<Facade>(({ grant }, done) => done(null, { origin: true, ...grant }))

/** What a page can use of a refusal besides the problem document. */
const EXPOSED_BY_REFUSALS = ['x-request-id', 'retry-after']

const VARIES = ['Origin']
const VARIES_OF_PREFLIGHTS = ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers']

/** Longer than what any page asks for. */
const LONGEST_REQUEST = 4_096
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/**
 * Writes what a decision of `domainProtect` means for the response, in `enforce`: the CORS headers of an allowed origin,
 * or that there are none, and `Vary` in any case. True when it was a preflight and is answered.
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
  // Nobody else speaks for this response: not the grant of a mount before this one, nor that of other middleware.
  let varies = false
  const names = res.getHeaderNames()
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
 * Lets a page of an allowed origin read a refusal, whichever guard refuses: when the app is known and its `domainProtect`
 * enforces. Otherwise it changes nothing.
 */
export function writeCorsOfRefusal(context: RequestContext, res: GuardResponse): void {
  const { policy, facts } = context
  if (policy?.domainProtect?.mode !== 'enforce') return
  const known = context.grantBy(policy)
  const grant = known === undefined ? decideDomainProtect(policy, facts).outcome : known.grant
  if (known === undefined) context.keepGrant(policy, grant)
  writeGrant(grant, 'deny', context, res)
}

/** 204, with the methods and the headers that pages of the origin may use. The browser compares. */
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

/** The header names that a preflight asks for; none when it is not a list of names, or of more than a page sends. */
function namesIn(text = ''): string[] {
  if (text.length > LONGEST_REQUEST) return []
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return names.every((name) => TOKEN.test(name)) ? names : []
}

/** Adds to `Vary` what is not there yet. */
function vary(res: GuardResponse, fields: readonly string[]): void {
  const present = res.getHeader('Vary')
  if (present === 'Origin' && fields === VARIES) return
  const before = [present ?? ''].flat().join(', ')
  const known = new Set(before.split(',').map((name) => name.trim().toLowerCase()))
  if (known.has('*')) return
  const added = fields.filter((name) => !known.has(name.toLowerCase()))
  if (added.length > 0) res.setHeader('Vary', (before === '' ? added : [before, ...added]).join(', '))
}
