import { deny, sharedAllowances } from '../decision.ts'
import { findKey, type VerifierKey } from '../signature/keys.ts'
import { verifyBy, type SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import { guardOf, type Guard, type Judgement } from './guard.ts'

export interface ServerFacts {
  /** The name of a header that only browsers send, or `preflight`. `undefined` if there is no evidence of a browser. */
  readonly browserEvidence: string | undefined
  /** False if the request had more header lines than the server keeps, so a header may have been lost. */
  readonly headersComplete: boolean
  readonly message: SignedMessage
  readonly scheme: SignatureScheme
  readonly appId: string
  /** The keys of the app. */
  readonly keys: readonly VerifierKey[]
  /** When the request was received, in milliseconds since the epoch. */
  readonly now: number
}

/** What a valid signature has proved. The request passes only if its nonce has not been used before. */
export interface SignedOutcome {
  /** Unique among the keys of the app. */
  readonly nonce: string
  /** Until when the nonce must be remembered, in milliseconds since the epoch. */
  readonly nonceUntil: number
  readonly keyId: string
  /** When the key expires, in milliseconds since the epoch. `undefined` if it does not expire. */
  readonly keyNotAfter: number | undefined
}

/** Decides whether the request comes from a server of the app: signed with its key, and without evidence of a browser. */
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

// The defaults of a policy: an unknown app is judged like most apps.
const ORDINARY = {
  appId: '',
  serverOnly: { mode: 'enforce', maxAge: 300, requireDigest: true, requireContentType: true },
} as const

/**
 * Refuses a caller of an unknown app, with the same work and the same code as for a known app whose key the caller does not
 * have. For operators, the evidence says `APP_UNKNOWN`.
 */
export function refuseStranger(facts: ServerFacts): Judgement<SignedOutcome> {
  const { decision } = decideServerOnly(ORDINARY, facts)
  // A scheme that needs no key may accept the signature.
  const code = decision.effect === 'deny' ? decision.code : 'SIGNATURE_INVALID'
  const evidence = code === 'BROWSER_NOT_ALLOWED' ? { ...decision.evidence, ...STRANGER } : STRANGER
  return {
    decision: deny('serverOnly', 'enforce', code, `there is no such app; ${decision.detail}`, evidence),
  }
}

// Created once: copying it would be work that is not done for a known app.
const STRANGER = { cause: 'APP_UNKNOWN' } as const
