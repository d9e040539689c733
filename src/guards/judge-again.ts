import { deny, type Decision } from '../decision.ts'
import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import { parseIp } from '../match/ip.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import type { VerifierKey } from '../signature/keys.ts'
import type { SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import { decideAuditAccess } from './audit-access.ts'
import { decideDomainProtect } from './domain-protect.ts'
import { unasked, type Judgement } from './guard.ts'
import { decideIpWhitelist } from './ip-whitelist.ts'
import type { KeptByGuard, KeptFacts, KeptSignature } from './kept-facts.ts'
import { decideRegionPin } from './region-pin.ts'
import { decideReturnUrlGuard, type NamedReturnUrl } from './return-url-guard.ts'
import { decideServerOnly } from './server-only.ts'

/** Inputs of guards that are not stored with each request. */
export interface JudgingMeans {
  readonly jurisdictions: CompiledJurisdictions
}

type Judges = {
  readonly [Name in keyof KeptByGuard]: (
    policy: CompiledPolicy,
    kept: KeptByGuard[Name],
    means: JudgingMeans,
  ) => Judgement<unknown>
}

/** How each guard judges stored facts. They were written by `keepFacts` and are authenticated, so their shape is known. */
const JUDGES: Judges = {
  auditAccess: decideAuditAccess,
  domainProtect: decideDomainProtect,
  ipWhitelist(policy, { address, source = '', now }) {
    const parsed = address === undefined ? undefined : parseIp(address)
    const found = parsed === undefined ? undefined : { address: parsed, source, hops: 0 }
    return decideIpWhitelist(policy, { address: found, now })
  },
  regionPin: (policy, { here, id, country }, { jurisdictions }) =>
    decideRegionPin(policy, { here, id, country, jurisdictions }),
  returnUrlGuard(policy, { named, relativeTo, reserved }) {
    // Restores `undefined` values, which JSON drops.
    const whole = named.map((each): NamedReturnUrl => ({ ...each, value: each.value }))
    return decideReturnUrlGuard(policy, { named: whole, relativeTo, reserved })
  },
  serverOnly: (policy, { browser, headersComplete, now, signature }) =>
    decideServerOnly(policy, {
      browserEvidence: browser,
      headersComplete,
      message: {} as SignedMessage,
      scheme: recordedScheme(signature, now),
      appId: policy.appId,
      keys: [{ id: signature.keyId, notAfter: signature.notAfter } as VerifierKey],
      now,
    }),
}

function recordedScheme({ keyId, code }: KeptSignature, now: number): SignatureScheme {
  const answer =
    keyId === undefined
      ? { ok: false, code, detail: 'as recorded' }
      : { ok: true, keyId, nonce: 'recorded', usableUntil: now }
  return { name: 'recorded', verify: () => answer as ReturnType<SignatureScheme['verify']> }
}

/** Refusals by an effect, after the guard had allowed the request. */
const EFFECTS: ReadonlySet<string> = new Set(['SIGNATURE_REPLAYED', 'NONCES_UNAVAILABLE', 'DIGEST_MISMATCH'])

/**
 * Judges a request again.
 *
 * @param recorded The recorded decision. Whether a nonce had been used before cannot be checked again, so that refusal is
 * kept.
 * @param kept The stored facts. If they are `undefined`, only a missing section or `off` can be decided.
 * @returns `undefined` if the request cannot be judged again.
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
  const judge = Object.hasOwn(JUDGES, guard)
    ? (JUDGES[guard as keyof KeptByGuard] as (
        policy: CompiledPolicy,
        kept: unknown,
        means: JudgingMeans,
      ) => Judgement<unknown>)
    : undefined
  if (kept === undefined || judge === undefined) return undefined
  const { decision } = judge(policy, kept.facts, means)
  if (decision.effect === 'deny' || recorded.effect === 'allow' || !EFFECTS.has(code)) return decision
  return deny(guard, decision.mode, recorded.code, recorded.detail, recorded.evidence)
}
