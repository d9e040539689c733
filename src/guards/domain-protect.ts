import { allow, deny, type Allowance, type Evidence, type Mode, type Refusal } from '../decision.ts'
import { parseOrigin } from '../match/origin.ts'
import type { CompiledDomains } from '../policy/compile.ts'
import { guardOf, type Guard } from './guard.ts'

export interface OriginFacts {
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
  /** The origin of this server as the caller addressed it. */
  readonly ownOrigin: string | undefined
  /** False when the request had more header lines than are kept, so that a header may have been lost. */
  readonly headersComplete: boolean
}

/** An allowance that says which origin the CORS headers may name. */
export interface OriginAllowance extends Allowance {
  /** The allowed origin of a browser; `undefined` when no CORS header is due. */
  readonly corsOrigin: string | undefined
}

/** Is this origin one of the app's domains? Present but wrong never falls back to another header. */
export const decideDomainProtect: Guard<OriginFacts, OriginAllowance> = guardOf('domainProtect', decide)

function decide(section: CompiledDomains, facts: OriginFacts): OriginAllowance | Refusal {
  const { mode } = section
  if (!facts.headersComplete) return refused(mode, 'the request has more header lines than are kept')
  if (facts.origin !== undefined) return judgeOrigin(section, facts.origin)
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

function judgeOrigin({ mode, domains }: CompiledDomains, text: string): OriginAllowance | Refusal {
  const label = text === 'null' ? 'opaque' : 'browser'
  if (domains.holds(text)) return allowed(mode, MATCHES, { case: label, entry: text }, text)
  const origin = parseOrigin(text)
  // A browser sends the canonical form. Another spelling comes from elsewhere and could not be echoed as it is.
  if (origin === undefined || origin !== text) {
    return refused(mode, '`Origin` is not a serialised origin', { case: 'invalid' })
  }
  const entry = domains.find(origin)
  if (entry === undefined) return refused(mode, '`Origin` matches no domain', { case: label })
  return allowed(mode, MATCHES, { case: label, entry }, origin)
}

const MATCHES = '`Origin` matches a domain'

/** Browsers leave `Origin` out of same-origin GET and HEAD requests and of navigations. `X-Origin` counts for nothing here. */
function judgeBrowserWithoutOrigin(
  { mode, domains }: CompiledDomains,
  facts: OriginFacts,
): OriginAllowance | Refusal {
  if (facts.fetchSite === 'same-origin' && facts.ownOrigin !== undefined) {
    const entry = domains.find(facts.ownOrigin)
    if (entry !== undefined)
      return allowed(mode, 'a same-origin request, and this origin is a domain', {
        case: 'same-origin',
        entry,
      })
  }
  const label = facts.fetchMode === 'navigate' ? 'navigation' : 'browser without origin'
  return deny('domainProtect', mode, 'ORIGIN_REQUIRED', 'a browser sent no `Origin`', { case: label })
}

function allowed(mode: Mode, detail: string, evidence: Evidence, corsOrigin?: string): OriginAllowance {
  return { ...allow('domainProtect', mode, detail, evidence), corsOrigin }
}

function refused(mode: Mode, detail: string, evidence?: Evidence): Refusal {
  return deny('domainProtect', mode, 'ORIGIN_NOT_ALLOWED', detail, evidence)
}
