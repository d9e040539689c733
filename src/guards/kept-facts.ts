import type { GuardName } from '../decision.ts'
import type { VerifierKey } from '../signature/keys.ts'
import type { AuditFacts } from './audit-access.ts'
import type { OriginFacts } from './domain-protect.ts'
import type { Judgement } from './guard.ts'
import type { AddressFacts } from './ip-whitelist.ts'
import type { RegionFacts } from './region-pin.ts'
import type { ReturnUrlFacts } from './return-url-guard.ts'
import type { ServerFacts } from './server-only.ts'

/* This file must not import a guard, so that a bundle with one guard does not contain the others. */

/** The facts of a request for one guard, as plain data that can be judged again. */
export interface KeptFacts {
  readonly guard: GuardName
  readonly facts: unknown
}

/** The stored facts of each guard. */
export interface KeptByGuard {
  readonly auditAccess: AuditFacts
  readonly domainProtect: OriginFacts
  readonly ipWhitelist: {
    readonly address: string | undefined
    readonly source: string | undefined
    readonly now: number
  }
  readonly regionPin: {
    readonly here: string
    readonly id: string | undefined
    readonly country: unknown
  }
  readonly returnUrlGuard: ReturnUrlFacts
  /** The message is not stored: the result of its verification is. */
  readonly serverOnly: {
    readonly browser: string | undefined
    readonly headersComplete: boolean
    readonly now: number
    readonly signature: KeptSignature
  }
}

export interface KeptSignature {
  readonly keyId?: string | undefined
  readonly notAfter?: number | undefined
  readonly code?: string | undefined
}

/** The facts of each guard. */
interface FactsByGuard {
  readonly auditAccess: AuditFacts
  readonly domainProtect: OriginFacts
  readonly ipWhitelist: AddressFacts
  readonly regionPin: RegionFacts
  readonly returnUrlGuard: ReturnUrlFacts
  readonly serverOnly: ServerFacts
}

type Keepers = {
  readonly [Name in keyof KeptByGuard]: (
    facts: FactsByGuard[Name],
    judgement: Judgement<unknown>,
  ) => KeptByGuard[Name]
}

const KEEPERS: Keepers = {
  auditAccess: ({ sinkFailing, notHeldBecause }) => ({ sinkFailing, notHeldBecause }),
  domainProtect: (facts) => ({
    ...plainOrigin(facts),
    ...(Object.hasOwn(facts, 'signed') && { signed: facts.signed }),
    ...(Object.hasOwn(facts, 'referer') && { referer: facts.referer }),
  }),
  ipWhitelist: ({ address, now }) => ({ address: address?.address.text, source: address?.source, now }),
  // Of an identifier, only its jurisdiction is kept, which also makes the country irrelevant.
  regionPin({ here, id, country, jurisdictions }) {
    const jurisdiction = id === undefined ? undefined : jurisdictions.locateId(id)?.jurisdiction
    return jurisdiction === undefined
      ? { here, id: undefined, country }
      : { here, id: `${jurisdiction}_0`, country: undefined }
  },
  returnUrlGuard: ({ named, relativeTo, reserved }) => ({ named, relativeTo, reserved }),
  serverOnly: ({ browserEvidence, headersComplete, keys, now }, judgement) => ({
    browser: browserEvidence,
    headersComplete,
    now,
    signature: signatureOf(judgement, keys),
  }),
}

/** The facts to store for a judgement. `undefined` for a guard that is not judged again. */
export function keepFacts(
  guard: GuardName,
  facts: unknown,
  judgement: Judgement<unknown>,
): KeptFacts | undefined {
  const keep = Object.hasOwn(KEEPERS, guard)
    ? (KEEPERS[guard as keyof KeptByGuard] as (facts: unknown, judgement: Judgement<unknown>) => unknown)
    : undefined
  return keep && { guard, facts: keep(facts, judgement) }
}

/** The facts as own properties, so that others can be added. */
export function plainOrigin(facts: OriginFacts): OriginFacts {
  const { method, receivedMethod, preflight, origin, xOrigin } = facts
  const { fetchMetadata, fetchSite, fetchMode, ownOrigin, proxied, headersComplete } = facts
  return {
    method,
    receivedMethod,
    preflight,
    origin,
    xOrigin,
    fetchMetadata,
    fetchSite,
    fetchMode,
    ownOrigin,
    proxied,
    headersComplete,
  }
}

function signatureOf({ decision, outcome }: Judgement<unknown>, keys: readonly VerifierKey[]): KeptSignature {
  if (decision.effect === 'deny') return { code: decision.code }
  const { keyId } = outcome as { readonly keyId: string }
  return { keyId, notAfter: keys.find(({ id }) => id === keyId)?.notAfter }
}
