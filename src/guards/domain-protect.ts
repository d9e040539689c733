import { allow, deny, sharedAllowances, type Evidence, type Mode } from '../decision.ts'
import { hostnameOf } from '../match/host.ts'
import { parseOrigin } from '../match/origin.ts'
import type { CorsSettings } from '../policy/cors.ts'
import type { CompiledDomains } from '../policy/sections/domain-protect.ts'
import { guardOf, type Guard, type Judgement } from './guard.ts'

export interface OriginFacts {
  /** The method that handlers see. */
  readonly method: string
  /** The method as received, before any middleware changed it. */
  readonly receivedMethod: string
  /** Whether the request is a CORS preflight. */
  readonly preflight: boolean
  /** The `Origin` header as received. `undefined` if it was not sent. */
  readonly origin: string | undefined
  /** The `X-Origin` header as received. */
  readonly xOrigin: string | undefined
  /** The name of a Fetch Metadata header that indicates a browser. Any program can send it. */
  readonly fetchMetadata: string | undefined
  /** The `Sec-Fetch-Site` header as received. */
  readonly fetchSite: string | undefined
  /** The `Sec-Fetch-Mode` header as received. */
  readonly fetchMode: string | undefined
  /** The origin of this server, as addressed by the request when it arrived. */
  readonly ownOrigin: string | undefined
  /** Whether a proxy forwarded the request and so may have changed `Host` and the scheme. */
  readonly proxied: boolean
  /** False if the request had more header lines than the server keeps, so a header may have been lost. */
  readonly headersComplete: boolean
  /** Whether `serverOnly` has allowed the request for this app, or will judge it. Read only if the policy requires it. */
  readonly signed?: boolean | undefined
  /** The origin of `Referer`. It is used only if the application has enabled it. */
  readonly referer?: string | undefined
}

/** What CORS headers may grant to the page that sent the request. */
export interface CorsGrant {
  /** The allowed origin, as sent. */
  readonly origin: string
  readonly settings: CorsSettings
}

/** The judgement. If the origin is allowed, the outcome is its grant, even if the request is refused. */
export type OriginJudgement = Judgement<CorsGrant>

/**
 * Decides whether the origin is one of the app's domains. A header that is present but wrong never falls back to another one.
 */
export const decideDomainProtect: Guard<OriginFacts, CorsGrant> = guardOf('domainProtect', decide)

function decide(section: CompiledDomains, facts: OriginFacts): OriginJudgement {
  const { mode } = section
  if (!facts.headersComplete) return refused(mode, 'the request has more header lines than the server keeps')
  if (facts.origin !== undefined) return judgeOrigin(section, facts, facts.origin)
  if (facts.fetchMetadata !== undefined) return judgeBrowserWithoutOrigin(section, facts)
  return judgeServer(section, facts)
}

const NO_DOMAINS = '`domains` is empty or missing in the policy, so it admits no origin'

/** A server sends no `Origin`. The policy says what it must send instead. */
function judgeServer(section: CompiledDomains, facts: OriginFacts): OriginJudgement {
  const { mode, domains, server } = section
  const { xOrigin } = facts
  if (xOrigin !== undefined) {
    const origin = domains.holds(xOrigin) ? xOrigin : parseOrigin(xOrigin)
    const entry = origin === undefined ? undefined : domains.find(origin)
    if (domains.size === 0) return refused(mode, NO_DOMAINS, { case: 'server' })
    if (entry === undefined) return refused(mode, '`X-Origin` matches no domain', { case: 'server' })
    if (server !== 'signed') return { decision: serverMatches(mode, 'server', entry) }
  }
  if (server === 'none')
    return allowed(mode, 'the policy requires no origin from servers', { case: 'absent' })
  if (server === 'claim' && Object.hasOwn(facts, 'referer') && facts.referer !== undefined)
    return judgeReferer(section, facts, facts.referer)
  if (server === 'claim')
    return required(mode, 'neither `Origin` nor `X-Origin` was sent', { case: 'absent' })
  if (facts.signed === true) return allowed(mode, 'the server signed the request', { case: 'signed' })
  return required(
    mode,
    'a server must sign, but no `serverOnly` in mode `enforce` has admitted the request',
    {
      case: 'server',
    },
  )
}

/**
 * Judges a page of this server in a browser that sends neither `Origin` nor Fetch Metadata. A page can hide its URL, but
 * cannot forge it.
 */
function judgeReferer(
  { mode, domains }: CompiledDomains,
  facts: OriginFacts,
  referer: string,
): OriginJudgement {
  const entry = ownOriginsOf(facts).includes(referer) ? domains.find(referer) : undefined
  return entry === undefined
    ? required(mode, '`Referer` is not a page of this service, or its origin is not one of the domains', {
        case: 'referer',
      })
    : allowed(mode, '`Referer` is a page of this origin, which is one of the domains', {
        case: 'referer',
        entry,
      })
}

function judgeOrigin(section: CompiledDomains, facts: OriginFacts, origin: string): OriginJudgement {
  const { mode, domains } = section
  const label = origin === 'null' ? 'opaque' : 'browser'
  // Browsers send the canonical form. Any other spelling does not come from a browser, and could not be echoed unchanged.
  if (!domains.holds(origin) && parseOrigin(origin) !== origin) {
    return refused(mode, '`Origin` is not a serialised origin', { case: 'invalid' })
  }
  const contradiction = contradictionOf(facts, origin)
  if (contradiction !== undefined) return refused(mode, contradiction, { case: 'contradiction' })
  const entry = domains.find(origin)
  if (domains.size === 0) return refused(mode, NO_DOMAINS, { case: label })
  if (entry === undefined) return refused(mode, '`Origin` matches no domain', { case: label })
  return judgeMethod(section, facts, { case: label, entry }, origin)
}

/** `methods` applies to cross-origin requests. For a preflight, the browser itself compares the methods. */
function judgeMethod(
  { mode, cors: settings }: CompiledDomains,
  facts: OriginFacts,
  evidence: { readonly case: string; readonly entry: string },
  origin: string,
): OriginJudgement {
  const { methods } = settings
  // The server's own origin must be parsed, so it is compared last.
  const free =
    methods === undefined ||
    facts.preflight ||
    (admitsMethod(methods, facts.method) && admitsMethod(methods, facts.receivedMethod)) ||
    facts.fetchSite === 'same-origin' ||
    origin === facts.ownOrigin
  const decision = free
    ? originMatches(mode, evidence.case, evidence.entry, oddFetchSite(facts, origin))
    : deny('domainProtect', mode, 'METHOD_NOT_ALLOWED', 'pages may not use this method', evidence)
  return { decision, outcome: { origin, settings } }
}

/**
 * HEAD is GET without the content (RFC 9110 9.3.2). A page sends CONNECT only to open a WebSocket over HTTP/2 (RFC 8441);
 * over HTTP/1, it uses GET for that.
 */
function admitsMethod(methods: readonly string[], method: string): boolean {
  return methods.includes(method) || ((method === 'HEAD' || method === 'CONNECT') && methods.includes('GET'))
}

const serverMatches = sharedAllowances('domainProtect', '`X-Origin` matches a domain', ['case', 'entry'])
const originMatches = sharedAllowances('domainProtect', '`Origin` matches a domain', [
  'case',
  'entry',
  'fetchSite',
])

/**
 * Returns a `Sec-Fetch-Site` that does not fit the requested host, for the evidence. It is no reason to refuse: a proxy that
 * silently rewrites `Host` looks the same, and a lying caller would simply omit the header.
 */
function oddFetchSite(facts: OriginFacts, origin: string): string | undefined {
  const { fetchSite, ownOrigin } = facts
  if (fetchSite === undefined || fetchSite === 'none' || origin === 'null') return undefined
  if (ownOrigin === undefined || facts.proxied) return undefined
  const sameHost = isWeb(origin) && hostnameOf(origin) === hostnameOf(ownOrigin)
  const fits = fetchSite === 'same-origin' ? sameHost : origin !== ownOrigin
  return fits ? undefined : fetchSite
}

const FETCH_SITES: ReadonlySet<string> = new Set(['same-origin', 'same-site', 'cross-site', 'none'])

/**
 * Returns how the other headers contradict `Origin`, so that no browser can have sent both. Only certain contradictions
 * count: an opaque origin (`null`) can be any page.
 */
function contradictionOf(facts: OriginFacts, origin: string): string | undefined {
  const { xOrigin, fetchSite, ownOrigin } = facts
  if (xOrigin !== undefined && parseOrigin(xOrigin) !== origin) return '`X-Origin` names another origin'
  if (fetchSite === undefined) return undefined
  if (!FETCH_SITES.has(fetchSite)) return '`Sec-Fetch-Site` has a value that no browser sends'
  // A request from the address bar has no origin. An extension has one, but its requests come from no site.
  if (fetchSite === 'none' && origin !== 'null' && isWeb(origin) && origin !== ownOrigin) return NO_SITE
  return undefined
}

const NO_SITE = '`Sec-Fetch-Site` says that no page sent this request, but `Origin` names one'

/** Browsers omit `Origin` in same-origin GET and HEAD requests and in navigations. `X-Origin` is ignored here. */
function judgeBrowserWithoutOrigin(section: CompiledDomains, facts: OriginFacts): OriginJudgement {
  const { mode, domains } = section
  if (facts.fetchSite === 'same-origin') {
    const entry = ownOriginsOf(facts)
      .map((origin) => domains.find(origin))
      .find((found) => found !== undefined)
    if (entry !== undefined)
      return allowed(mode, 'a same-origin request, and this origin is one of the domains', {
        case: 'same-origin',
        entry,
      })
  }
  const label = facts.fetchMode === 'navigate' ? 'navigation' : 'browser without origin'
  return required(mode, 'a browser sent no `Origin`', { case: label })
}

/**
 * The requested origin as it arrived, and the same with https. Browsers send Fetch Metadata over http only to loopback
 * addresses, so for any other host a proxy must have terminated TLS.
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

function allowed(mode: Mode, detail: string, evidence: Evidence): OriginJudgement {
  return { decision: allow('domainProtect', mode, detail, evidence) }
}

function required(mode: Mode, detail: string, evidence: Evidence): OriginJudgement {
  return { decision: deny('domainProtect', mode, 'ORIGIN_REQUIRED', detail, evidence) }
}

function refused(mode: Mode, detail: string, evidence?: Evidence): OriginJudgement {
  return { decision: deny('domainProtect', mode, 'ORIGIN_NOT_ALLOWED', detail, evidence) }
}
