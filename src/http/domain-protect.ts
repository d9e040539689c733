import { decideDomainProtect, type CorsGrant, type OriginFacts } from '../guards/domain-protect.ts'
import { plainOrigin } from '../guards/kept-facts.ts'
import { checkOptions } from '../options.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { RequestHandler } from './handler.ts'
import { AN_AUTHORITY, compileAuthority, type AuthorityOption } from './request/authority.ts'
import { isSigned } from './signed-requests.ts'
import { writeCors } from './response/cors.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { mount } from './shell.ts'
import type { Mount } from './step.ts'

export interface DomainProtectOptions extends SharedOptions {
  /**
   * Where callers reach this service, used to recognise requests of its own pages: an origin, a list of origins, or a function;
   * see {@link AuthorityOption}. Default: the `Host` of the request.
   */
  readonly authority?: AuthorityOption | undefined
  /**
   * Admits requests of your own pages that have neither `Origin` nor Fetch Metadata (Safari before 16.4, plain http) by the
   * origin in `Referer`, which must be that of this service and one of the app's domains. Like `X-Origin`, `Referer` is a claim
   * that any program can make, so a policy that requires servers to sign (`signed`) ignores it. Default false.
   */
  readonly referer?: boolean | undefined
}

/**
 * CORS that blocks: a request from an origin outside the app's domains is refused with `ORIGIN_NOT_ALLOWED` (403) before it
 * reaches the handler. A request from an allowed origin gets its CORS headers, and its preflights are answered. A server sends no
 * `Origin` and must name a domain in `X-Origin`. That header is a claim, not a credential: use `serverOnly` for proof.
 *
 * Follows RFC 6454 and the Fetch standard.
 *
 * @throws ConfigError
 */
export function domainProtect(options: DomainProtectOptions): RequestHandler {
  const settings = checkOptions<DomainProtectOptions>('domainProtect', options, {
    ...SHARED_EXPECTATIONS,
    ...DOMAIN_PROTECT_EXPECTATIONS,
  })
  return mount(domainProtectMount(settings), settings)
}

export const DOMAIN_PROTECT_EXPECTATIONS = {
  authority: AN_AUTHORITY,
  referer: {
    expected: 'true or false',
    accepts: (value: unknown): boolean => typeof value === 'boolean',
  },
} satisfies Expectations<DomainProtectOptions>

/** @param serverOnlyFollows whether a `serverOnly` later in the same chain judges the request too */
export function domainProtectMount(
  { authority, policies, referer = false }: DomainProtectOptions,
  serverOnlyFollows = false,
): Mount<OriginFacts, CorsGrant> {
  const placeOf = compileAuthority(authority)
  return {
    name: 'domainProtect',
    guard: decideDomainProtect,
    facts: (request, { appId, policy }) => {
      const { facts } = request
      const asksForSignature = policy.domainProtect?.server === 'signed'
      if (placeOf === undefined && !asksForSignature && !referer) return facts
      const signed =
        isSigned(request, policies, appId) || (serverOnlyFollows && policy.serverOnly?.mode === 'enforce')
      const named = referer ? facts.refererOrigin : undefined
      return { ...plainOrigin(facts), ownOrigin: facts.ownOriginBy(placeOf), signed, referer: named }
    },
    note: ({ outcome }, context) => {
      if (context.policy !== undefined) context.keepGrant(context.policy, outcome)
    },
    write: (answer, context, res) => writeCors(answer, context, res),
    writesCors: true,
  }
}

export const describedDomainProtect: DescribedQuestion = () => ({
  name: 'domainProtect',
  guard: decideDomainProtect,
  // As in `protect`, where `serverOnly` follows.
  facts: ({ facts }, { policy }) =>
    policy.domainProtect?.server === 'signed'
      ? { ...plainOrigin(facts), signed: policy.serverOnly?.mode === 'enforce' }
      : facts,
})
