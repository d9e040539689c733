import { deny, type Decision, type GuardName } from '../decision.ts'
import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import { parseIp } from '../match/ip.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import type { VerifierKey } from '../signature/keys.ts'
import type { SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import { decideAuditAccess, type AuditFacts } from './audit-access.ts'
import { decideDomainProtect, type OriginFacts } from './domain-protect.ts'
import { unasked, type Judgement } from './guard.ts'
import { decideIpWhitelist, type AddressFacts } from './ip-whitelist.ts'
import { decideRegionPin, type RegionFacts } from './region-pin.ts'
import { decideReturnUrlGuard, type NamedReturnUrl, type ReturnUrlFacts } from './return-url-guard.ts'
import { decideServerOnly, type ServerFacts } from './server-only.ts'

/** What one guard was told of a request, as plain data by which it can be asked again. */
export interface KeptFacts {
  readonly guard: GuardName
  readonly facts: unknown
}

/** What a guard is asked by that is not kept with each request. */
export interface JudgingMeans {
  readonly jurisdictions: CompiledJurisdictions
}

/** How the facts of one guard are kept, and how it is asked by them. */
interface Keeper {
  keep(facts: unknown, judgement: Judgement<unknown>): unknown
  judge(policy: CompiledPolicy, kept: unknown, means: JudgingMeans): Decision
}

/** A keeper of known facts. What was kept was written by `keep`, and opens only as it was written. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- each guard has facts of its own
function keeperOf<Facts, Kept>(
  keep: (facts: Facts, judgement: Judgement<unknown>) => Kept,
  judge: (policy: CompiledPolicy, kept: Kept, means: JudgingMeans) => Judgement<unknown>,
): Keeper {
  return {
    keep: (facts, judgement) => keep(facts as Facts, judgement),
    judge: (policy, kept, means) => judge(policy, kept as Kept, means).decision,
  }
}

interface KeptSignature {
  readonly keyId?: string | undefined
  readonly notAfter?: number | undefined
  readonly code?: string | undefined
}

const ipWhitelist = keeperOf(
  ({ address, now }: AddressFacts) => ({ address: address?.address.text, source: address?.source, now }),
  (policy, { address, source = '', now }) => {
    const parsed = address === undefined ? undefined : parseIp(address)
    const found = parsed === undefined ? undefined : { address: parsed, source, hops: 0 }
    return decideIpWhitelist(policy, { address: found, now })
  },
)

const domainProtect = keeperOf(
  (facts: OriginFacts) => ({
    ...plainOrigin(facts),
    ...(Object.hasOwn(facts, 'signed') && { signed: facts.signed }),
    ...(Object.hasOwn(facts, 'referer') && { referer: facts.referer }),
  }),
  (policy, kept: OriginFacts) => decideDomainProtect(policy, kept),
)

/** The facts as plain members, to which others can be added. */
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

/** The message is not kept: whether its signature held is a fact. */
const serverOnly = keeperOf(
  ({ browserEvidence, headersComplete, keys, now }: ServerFacts, { decision, outcome }) => ({
    browser: browserEvidence,
    headersComplete,
    now,
    signature: signatureOf(decision, outcome, keys),
  }),
  (policy, { browser, headersComplete, now, signature }) =>
    decideServerOnly(policy, {
      browserEvidence: browser,
      headersComplete,
      message: {} as SignedMessage,
      scheme: recordedScheme(signature, now),
      appId: policy.appId,
      keys: [{ id: signature.keyId, notAfter: signature.notAfter } as VerifierKey],
      now,
    }),
)

function signatureOf(decision: Decision, outcome: unknown, keys: readonly VerifierKey[]): KeptSignature {
  if (decision.effect === 'deny') return { code: decision.code }
  const { keyId } = outcome as { readonly keyId: string }
  return { keyId, notAfter: keys.find(({ id }) => id === keyId)?.notAfter }
}

function recordedScheme({ keyId, code }: KeptSignature, now: number): SignatureScheme {
  const answer =
    keyId === undefined
      ? { ok: false, code, detail: 'as recorded' }
      : { ok: true, keyId, nonce: 'recorded', usableUntil: now }
  return { name: 'recorded', verify: () => answer as ReturnType<SignatureScheme['verify']> }
}

const returnUrlGuard = keeperOf(
  ({ named, relativeTo, reserved }: ReturnUrlFacts) => ({ named, relativeTo, reserved }),
  (policy, { named, relativeTo, reserved }) => {
    // JSON has no `undefined`.
    const whole = named.map((each): NamedReturnUrl => ({ ...each, value: each.value }))
    return decideReturnUrlGuard(policy, { named: whole, relativeTo, reserved })
  },
)

const regionPin = keeperOf(
  // An identifier that is no text names no jurisdiction.
  ({ here, id, country }: RegionFacts) => ({ here, id: typeof id === 'string' ? id : undefined, country }),
  (policy, { here, id, country }, { jurisdictions }) =>
    decideRegionPin(policy, { here, id, country, jurisdictions }),
)

const auditAccess = keeperOf(
  ({ sinkFailing, notHeldBecause }: AuditFacts) => ({ sinkFailing, notHeldBecause }),
  (policy, facts: AuditFacts) => decideAuditAccess(policy, facts),
)

/** A guard that is not here is not judged again. */
const KEEPERS: { readonly [Name in GuardName]?: Keeper } = {
  auditAccess,
  domainProtect,
  ipWhitelist,
  regionPin,
  returnUrlGuard,
  serverOnly,
}

/** What is kept of a judgement; nothing of a guard that is not judged again. */
export function keepFacts(
  guard: GuardName,
  facts: unknown,
  judgement: Judgement<unknown>,
): KeptFacts | undefined {
  const keeper = KEEPERS[guard]
  return keeper === undefined ? undefined : { guard, facts: keeper.keep(facts, judgement) }
}

/** Refusals that an effect has made, after the guard had allowed the request. */
const EFFECTS: ReadonlySet<string> = new Set(['SIGNATURE_REPLAYED', 'NONCES_UNAVAILABLE', 'DIGEST_MISMATCH'])

/**
 * Asks a guard again.
 *
 * @param recorded what was decided. Whether a nonce was used before is a fact of that moment, and stands.
 * @param kept `undefined` where nothing was kept: then only what needs no facts can be said.
 * @returns `undefined` when it cannot be said.
 */
export function judgeAgain(
  policy: CompiledPolicy,
  recorded: Decision,
  kept: KeptFacts | undefined,
  means: JudgingMeans,
): Decision | undefined {
  const { guard, code } = recorded
  const settled = unasked(policy, guard)?.decision
  if (settled !== undefined) return settled
  const keeper = KEEPERS[guard]
  if (kept === undefined || keeper === undefined) return undefined
  const decision = keeper.judge(policy, kept.facts, means)
  if (decision.effect === 'deny' || recorded.effect === 'allow' || !EFFECTS.has(code)) return decision
  return deny(guard, decision.mode, recorded.code, recorded.detail, recorded.evidence)
}
