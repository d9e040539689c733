import { deny, sharedAllowances } from '../decision.ts'
import { findKey, type VerifierKey } from '../signature/keys.ts'
import { verifyBy, type SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import { guardOf, type Guard, type Judgement } from './guard.ts'

export interface ServerFacts {
  /** The name of a header that only browsers send, or `preflight`; `undefined` when there is no such evidence. */
  readonly browserEvidence: string | undefined
  /** False when the request had more header lines than are kept, so that a header may have been lost. */
  readonly headersComplete: boolean
  readonly message: SignedMessage
  readonly scheme: SignatureScheme
  readonly appId: string
  /** The keys of the app. */
  readonly keys: readonly VerifierKey[]
  /** When the request was received, in milliseconds since the epoch. */
  readonly now: number
}

/** What a signature that holds has proved. The request passes only if the nonce was not used before. */
export interface SignedOutcome {
  /** Unique for the keys of the app. */
  readonly nonce: string
  /** Until when the nonce must be remembered, in milliseconds since the epoch. */
  readonly nonceUntil: number
  readonly keyId: string
  /** From when on the key is not accepted, in milliseconds since the epoch; `undefined` when it has no end. */
  readonly keyNotAfter: number | undefined
}

/** Is this a server of the app, proven by a signature with its secret key, and not a browser? */
export const decideServerOnly: Guard<ServerFacts, SignedOutcome> = guardOf('serverOnly', (section, facts) => {
  const { mode } = section
  if (!facts.headersComplete) {
    const detail = 'the request has more header lines than the server keeps'
    return { decision: deny('serverOnly', mode, 'SIGNATURE_INVALID', detail) }
  }
  const { browserEvidence } = facts
  if (browserEvidence !== undefined) {
    const detail = 'the headers show that a browser sent the request'
    return {
      decision: deny('serverOnly', mode, 'BROWSER_NOT_ALLOWED', detail, { evidence: browserEvidence }),
    }
  }
  const { scheme, message, appId, keys, now } = facts
  const result = verifyBy(scheme, message, { appId, keys, rules: section, now })
  if (!result.ok) return { decision: deny('serverOnly', mode, result.code, result.detail) }
  const { keyId, nonce, usableUntil } = result
  const keyNotAfter = findKey(keys, keyId)?.notAfter
  const end = keyNotAfter === undefined ? undefined : new Date(keyNotAfter).toISOString()
  return {
    decision: signed(mode, keyId, end),
    outcome: { nonce: `${keyId}/${nonce}`, nonceUntil: usableUntil, keyId, keyNotAfter },
  }
})

const signed = sharedAllowances('serverOnly', 'the signature is valid', ['keyId', 'keyNotAfter'])

// What a policy has where nothing is written: an app that does not exist is judged as most that do.
const ORDINARY = {
  appId: '',
  serverOnly: { mode: 'enforce', maxAge: 300, requireDigest: true, requireContentType: true },
} as const

/**
 * The refusal of a caller that names an app which does not exist: the same work and the same code as for an app that
 * does, of which the caller has no key. For operators the evidence says `APP_UNKNOWN`.
 */
export function refuseStranger(facts: ServerFacts): Judgement<SignedOutcome> {
  const { decision } = decideServerOnly(ORDINARY, facts)
  // A scheme that needs no key may find the signature good.
  const code = decision.effect === 'deny' ? decision.code : 'SIGNATURE_INVALID'
  const evidence = code === 'BROWSER_NOT_ALLOWED' ? { ...decision.evidence, ...STRANGER } : STRANGER
  return {
    decision: deny('serverOnly', 'enforce', code, `there is no such app; ${decision.detail}`, evidence),
  }
}

// Made once: a copy would be work that a known app does not take.
const STRANGER = { cause: 'APP_UNKNOWN' } as const
