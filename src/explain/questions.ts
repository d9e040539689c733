import type { GuardName } from '../decision.ts'
import { decideAuditAccess } from '../guards/audit-access.ts'
import { decideDomainProtect } from '../guards/domain-protect.ts'
import { decideIpWhitelist } from '../guards/ip-whitelist.ts'
import { decideRegionPin } from '../guards/region-pin.ts'
import { decideReturnUrlGuard, type NamedReturnUrl } from '../guards/return-url-guard.ts'
import { decideServerOnly } from '../guards/server-only.ts'
import type { Question } from '../http/judge.ts'
import { compileJurisdictions, DEFAULT_JURISDICTIONS } from '../jurisdiction/jurisdictions.ts'
import { httpMessageSignatures } from '../signature/http-message-signatures.ts'
import type { RequestDescription } from './description.ts'

/** A question that a guard is asked about a described request. `undefined` where the description leaves out what it needs. */
export type DescribedQuestion = (
  description: RequestDescription,
  // oxlint-disable-next-line typescript/no-explicit-any -- each guard keeps its own facts and outcome to itself
) => Question<any, any> | undefined

/** The return URL that is described. */
export function namedReturnUrl({ returnUrl }: RequestDescription): NamedReturnUrl {
  return { name: 'returnUrl', value: returnUrl, problem: undefined, optional: false }
}

/** How each guard is asked, in the order of `protect`. No effect is asked for: no nonce is claimed. */
export const QUESTIONS = {
  auditAccess: () => ({
    name: 'auditAccess',
    guard: decideAuditAccess,
    facts: () => ({ sinkFailing: false }),
  }),
  regionPin: ({ here, country, jurisdictions: given = DEFAULT_JURISDICTIONS }) => {
    if (here === undefined) return undefined
    const jurisdictions = compileJurisdictions(given, 'explain.jurisdictions')
    return { name: 'regionPin', guard: decideRegionPin, facts: () => ({ here, country, jurisdictions }) }
  },
  ipWhitelist: ({ now = Date.now() }) => ({
    name: 'ipWhitelist',
    guard: decideIpWhitelist,
    facts: ({ facts }) => ({ address: facts.address(undefined), now }),
  }),
  domainProtect: () => ({
    name: 'domainProtect',
    guard: decideDomainProtect,
    facts: ({ facts }) => facts,
  }),
  serverOnly: ({ now = Date.now() }) => ({
    name: 'serverOnly',
    guard: decideServerOnly,
    facts: ({ facts }, { appId, keys }) => ({
      browserEvidence: facts.browserEvidence,
      headersComplete: facts.headersComplete,
      message: facts.message(),
      scheme: httpMessageSignatures(),
      appId,
      keys,
      now,
    }),
  }),
  returnUrlGuard: (description) => {
    if (!('returnUrl' in description)) return undefined
    const { relativeTo, reserved } = description
    const facts = { named: [namedReturnUrl(description)], relativeTo, reserved }
    return { name: 'returnUrlGuard', guard: decideReturnUrlGuard, facts: () => facts }
  },
} satisfies Record<GuardName, DescribedQuestion>
