import type { IncomingHttpHeaders } from 'node:http'
import type { Decision } from '../decision.ts'
import { decideAuditAccess } from '../guards/audit-access.ts'
import { decideDomainProtect } from '../guards/domain-protect.ts'
import { decideIpWhitelist } from '../guards/ip-whitelist.ts'
import { decideRegionPin } from '../guards/region-pin.ts'
import { decideReturnUrlGuard } from '../guards/return-url-guard.ts'
import { decideServerOnly } from '../guards/server-only.ts'
import { compilePolicy } from '../policy/compile.ts'
import { readPolicy } from '../policy/parse.ts'
import {
  compileJurisdictions,
  DEFAULT_JURISDICTIONS,
  type Jurisdictions,
} from '../jurisdiction/jurisdictions.ts'
import { httpMessageSignatures } from '../signature/http-message-signatures.ts'
import { parseAppKeys, type AppKey } from '../signature/keys.ts'
import { compareWithEntries, type Comparison } from './comparisons.ts'
import { keepRawBody, NodeFacts } from '../http/request/facts.ts'
import type { GuardRequest } from '../http/handler.ts'

/** A made-up request. What is left out was not sent. */
export interface RequestDescription {
  /** Default `GET`. */
  readonly method?: string | undefined
  /** The absolute URL that is called. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array | undefined
  /** The client address. */
  readonly address?: string | undefined
  /** What the `returnUrl` option would find. Left out, `returnUrlGuard` is not asked. */
  readonly returnUrl?: unknown
  /** The options of `returnUrlGuard` with these names. */
  readonly relativeTo?: string | undefined
  readonly reserved?: readonly string[] | undefined
  /** What the `country` option would find. */
  readonly country?: unknown
  /** The location of the instance. Left out, `regionPin` is not asked. */
  readonly here?: string | undefined
  readonly jurisdictions?: Jurisdictions | undefined
  /** The keys of the app, for its signatures. Default none. */
  readonly keys?: readonly AppKey[] | undefined
  /** When the request is judged, in milliseconds since the epoch. Default now. */
  readonly now?: number | undefined
}

export interface Explanation {
  /** Whether every guard that enforces would let the request pass. */
  readonly passes: boolean
  /** One decision per guard in the order of `protect`, with `detail` and `evidence`. For operators only. */
  readonly decisions: readonly Decision[]
  /**
   * What the request names in canonical form, and the entries of the policy that are nearest to it: its address, its
   * `Origin` or else its `X-Origin`, its return URL. For operators only.
   */
  readonly comparisons: readonly Comparison[]
}

/**
 * What the guards would decide of a request, and why, without a server, a store or an effect: no nonce is claimed and
 * nothing is recorded. Runs the same parser, facts and guards as a real request. Without a store there are no named lists:
 * those of `lists` admit nobody, and `denyLists` refuse everybody.
 *
 * @throws PolicyError when the document or the keys are refused.
 * @throws ConfigError when the jurisdictions are refused.
 */
export function explain(document: unknown, description: RequestDescription): Explanation {
  // Own members alone: what a prototype holds is not part of the description.
  const request = Object.assign(Object.create(null), description) as RequestDescription
  const read = readPolicy(document)
  const policy = compilePolicy(read)
  const keys = parseAppKeys(request.keys ?? [])
  const facts = new NodeFacts(requestLike(request))
  const judgements: { readonly decision: Decision }[] = [decideAuditAccess(policy, { sinkFailing: false })]
  if (request.here !== undefined) {
    const jurisdictions = compileJurisdictions(
      request.jurisdictions ?? DEFAULT_JURISDICTIONS,
      'explain.jurisdictions',
    )
    judgements.push(decideRegionPin(policy, { here: request.here, country: request.country, jurisdictions }))
  }
  judgements.push(
    decideIpWhitelist(policy, {
      address: facts.address(undefined),
      now: request.now ?? Date.now(),
    }),
    decideDomainProtect(policy, facts),
    decideServerOnly(policy, {
      browserEvidence: facts.browserEvidence,
      headersComplete: facts.headersComplete,
      message: facts.message(),
      scheme: httpMessageSignatures(),
      appId: policy.appId,
      keys,
      now: request.now ?? Date.now(),
    }),
  )
  const { relativeTo, reserved } = request
  const named = { name: 'returnUrl', value: request.returnUrl, problem: undefined, optional: false }
  if ('returnUrl' in request)
    judgements.push(decideReturnUrlGuard(policy, { named: [named], relativeTo, reserved }))
  const decisions = judgements.map(({ decision }) => decision)
  return {
    passes: decisions.every(({ effect, mode }) => effect === 'allow' || mode !== 'enforce'),
    decisions,
    comparisons: compareWithEntries(read, facts, named, { relativeTo, reserved }),
  }
}

/** The part of a request that facts are read from. */
function requestLike({ method = 'GET', url, headers = {}, body, address }: RequestDescription): GuardRequest {
  const { protocol, host, pathname, search } = new URL(url)
  const lines = Object.assign(Object.create(null), { host }) as IncomingHttpHeaders
  for (const [name, value] of Object.entries(headers)) lines[name.toLowerCase()] = value
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (bytes !== undefined) lines['content-length'] ??= String(bytes.length)
  const request = {
    method,
    url: pathname + search,
    originalUrl: pathname + search,
    protocol: protocol.slice(0, -1),
    ip: address,
    headers: lines,
    rawHeaders: Object.entries(lines).flatMap(([name, value]) => [name, String(value)]),
    socket: {},
  } as unknown as GuardRequest
  if (bytes !== undefined) keepRawBody(request, bytes)
  return request
}
