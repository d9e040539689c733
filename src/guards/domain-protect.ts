import { allow, deny, type Allowance, type Evidence, type Mode, type Refusal } from '../decision.ts'
import { hostnameOf } from '../match/host.ts'
import { parseOrigin } from '../match/origin.ts'
import type { CompiledDomains } from '../policy/compile.ts'
import type { CorsSettings } from '../policy/cors.ts'
import { guardOf, type Guard } from './guard.ts'

export interface OriginFacts {
  readonly method: string
  /** Whether this is the question of a browser for leave to send a request, and no request. */
  readonly preflight: boolean
  /** The `Origin` header as received; `undefined` when there is none. */
  readonly origin: string | undefined
  /** The `X-Origin` header as received. */
  readonly xOrigin: string | undefined
  /** The name of a header of Fetch Metadata that shows that a browser sent the request. */
  readonly fetchMetadata: string | undefined
  /** The `Sec-Fetch-Site` header as received. */
  readonly fetchSite: string | undefined
  /** The `Sec-Fetch-Mode` header as received. */
  readonly fetchMode: string | undefined
  /** The origin of this server as the request addressed it when it came here. */
  readonly ownOrigin: string | undefined
  /** Whether a proxy has passed the request on, which may have changed `Host` and the scheme. */
  readonly proxied: boolean
  /** False when the request had more header lines than are kept, so that a header may have been lost. */
  readonly headersComplete: boolean
}

/** What the response may grant to the page that has sent the request. */
export interface CorsGrant {
  /** The allowed origin, as it was sent. */
  readonly origin: string
  readonly settings: CorsSettings
}

/** A decision that says what the CORS headers may grant: of an allowed origin, whether or not its request is refused. */
export type OriginDecision = (Allowance | Refusal) & { readonly cors?: CorsGrant | undefined }

/** Is this origin one of the app's domains? Present but wrong never falls back to another header. */
export const decideDomainProtect: Guard<OriginFacts, OriginDecision> = guardOf('domainProtect', decide)

function decide(section: CompiledDomains, facts: OriginFacts): OriginDecision {
  const { mode } = section
  if (!facts.headersComplete) return refused(mode, 'the request has more header lines than are kept')
  if (facts.origin !== undefined) return judgeOrigin(section, facts, facts.origin)
  if (facts.fetchMetadata !== undefined) return judgeBrowserWithoutOrigin(section, facts)
  if (facts.xOrigin === undefined) {
    return deny('domainProtect', mode, 'ORIGIN_REQUIRED', 'neither `Origin` nor `X-Origin` was sent', {
      case: 'absent',
    })
  }
  const origin = parseOrigin(facts.xOrigin)
  const entry = origin === undefined ? undefined : section.domains.find(origin)
  if (entry === undefined) return refused(mode, '`X-Origin` matches no domain', { case: 'server' })
  return allowed(mode, '`X-Origin` matches a domain', { case: 'server', entry })
}

function judgeOrigin(section: CompiledDomains, facts: OriginFacts, origin: string): OriginDecision {
  const { mode, domains } = section
  const label = origin === 'null' ? 'opaque' : 'browser'
  // A browser sends the canonical form. Another spelling comes from elsewhere and could not be echoed as it is.
  if (!domains.holds(origin) && parseOrigin(origin) !== origin) {
    return refused(mode, '`Origin` is not a serialised origin', { case: 'invalid' })
  }
  const contradiction = contradictionOf(facts, origin)
  if (contradiction !== undefined) return refused(mode, contradiction, { case: 'contradiction' })
  const entry = domains.find(origin)
  if (entry === undefined) return refused(mode, '`Origin` matches no domain', { case: label })
  return judgeMethod(section, facts, { case: label, entry }, origin)
}

/** `methods` is for requests across origins. What a preflight is told of them, it tells the browser. */
function judgeMethod(
  { mode, cors: settings }: CompiledDomains,
  facts: OriginFacts,
  evidence: Evidence,
  origin: string,
): OriginDecision {
  const { methods } = settings
  // The own origin has to be read first, so it comes last.
  const free =
    methods === undefined ||
    facts.preflight ||
    methods.includes(facts.method) ||
    facts.fetchSite === 'same-origin' ||
    origin === facts.ownOrigin
  const decision = free
    ? allow('domainProtect', mode, '`Origin` matches a domain', evidence)
    : deny('domainProtect', mode, 'METHOD_NOT_ALLOWED', 'pages may not use this method', evidence)
  return { ...decision, cors: { origin, settings } }
}

const FETCH_SITES: ReadonlySet<string> = new Set(['same-origin', 'same-site', 'cross-site', 'none'])

/**
 * In what the other headers contradict an `Origin`, so that no browser can have sent both. Only what is certain: a
 * proxy may have changed `Host` and the scheme, and an opaque origin (`null`) can stand for any.
 */
function contradictionOf(facts: OriginFacts, origin: string): string | undefined {
  const { xOrigin, fetchSite } = facts
  if (xOrigin !== undefined && parseOrigin(xOrigin) !== origin) return '`X-Origin` names another origin'
  if (fetchSite === undefined) return undefined
  if (!FETCH_SITES.has(fetchSite)) return '`Sec-Fetch-Site` has no value that browsers send'
  if (origin === 'null') return undefined
  const { ownOrigin, proxied } = facts
  // The address bar has no origin. An extension has, and its requests come from no site.
  if (fetchSite === 'none') return isWeb(origin) && origin !== ownOrigin ? NO_SITE : undefined
  if (proxied || ownOrigin === undefined) return undefined
  if (fetchSite === 'same-origin') {
    return isWeb(origin) && hostnameOf(origin) === hostnameOf(ownOrigin) ? undefined : NOT_OWN
  }
  return origin === ownOrigin ? '`Origin` is the one that was called, but not by `Sec-Fetch-Site`' : undefined
}

const NO_SITE = '`Sec-Fetch-Site` says that no page has sent this, but `Origin` names one'
const NOT_OWN = '`Sec-Fetch-Site` says `same-origin`, but `Origin` has another host than the one called'

/** Browsers leave `Origin` out of same-origin GET and HEAD requests and of navigations. `X-Origin` counts for nothing here. */
function judgeBrowserWithoutOrigin(section: CompiledDomains, facts: OriginFacts): OriginDecision {
  const { mode, domains } = section
  if (facts.fetchSite === 'same-origin') {
    const entry = ownOriginsOf(facts)
      .map((origin) => domains.find(origin))
      .find((found) => found !== undefined)
    if (entry !== undefined)
      return allowed(mode, 'a same-origin request, and this origin is a domain', {
        case: 'same-origin',
        entry,
      })
  }
  const label = facts.fetchMode === 'navigate' ? 'navigation' : 'browser without origin'
  return deny('domainProtect', mode, 'ORIGIN_REQUIRED', 'a browser sent no `Origin`', { case: label })
}

/**
 * The origin that was called as it came here, and with https: browsers send Fetch Metadata over http to loopback only, so
 * that elsewhere there is a proxy in between that ends TLS.
 */
function ownOriginsOf({ ownOrigin }: OriginFacts): string[] {
  if (ownOrigin === undefined) return []
  if (!ownOrigin.startsWith('http:') || isLoopback(hostnameOf(ownOrigin))) return [ownOrigin]
  const secured = parseOrigin(ownOrigin.replace('http:', 'https:'))
  return secured === undefined ? [ownOrigin] : [ownOrigin, secured]
}

function isLoopback(hostname: string): boolean {
  return /^(?:127\..*|\[::1\]|(?:.*\.)?localhost)$/.test(hostname)
}

function isWeb(origin: string): boolean {
  return origin.startsWith('https:') || origin.startsWith('http:')
}

function allowed(mode: Mode, detail: string, evidence: Evidence): Allowance {
  return allow('domainProtect', mode, detail, evidence)
}

function refused(mode: Mode, detail: string, evidence?: Evidence): Refusal {
  return deny('domainProtect', mode, 'ORIGIN_NOT_ALLOWED', detail, evidence)
}
