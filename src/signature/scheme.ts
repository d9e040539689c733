import type { DiagnosisOptions, Diagnosis } from './doctor.ts'
import type { VerifierKey } from './keys.ts'
import { isSignatureRefusal, SIGNATURE_REFUSALS } from './refusals.ts'
import type { Rejected, SignatureRules, SignedMessage, Verified } from './verify.ts'

/**
 * A signature scheme: `httpMessageSignatures()`, or one that your callers already use. It receives the message as received,
 * but not the request, keeps no state, and returns synchronously.
 */
export interface SignatureScheme {
  /** Its name in the trail. */
  readonly name: string
  /**
   * Checks whether a key of the app signed this message. If there is no such app, `keys` is empty, and it must do the same amount
   * of work. If it throws or returns anything else, the request is refused.
   */
  verify(message: SignedMessage, context: SchemeContext): Verified | Rejected
  /** Returns headers for a 401 answer that tell a caller how to sign, derived from the message only. Default: no headers. */
  challenge?(message: SignedMessage): Readonly<Record<string, string>>
  /** Finds the signer's mistake after a refusal with `SIGNATURE_INVALID` or `DIGEST_MISMATCH`. */
  diagnose?(message: SignedMessage, context: SchemeContext, options: DiagnosisOptions): Diagnosis
}

/** The app, keys and time by which a scheme judges a message. */
export interface SchemeContext {
  /** The app that the request claims to come from. Empty if there is no such app. */
  readonly appId: string
  /** The keys of the app. Empty if there is no such app. */
  readonly keys: readonly VerifierKey[]
  readonly rules: SignatureRules
  /** Milliseconds since the epoch. */
  readonly now: number
}

// Part of a key in the nonce store, so its length must be bounded.
const MOST_CHARACTERS = 256

/** Calls a scheme, and accepts only a complete result. Never throws. */
export function verifyBy(
  scheme: SignatureScheme,
  message: SignedMessage,
  context: SchemeContext,
): Verified | Rejected {
  let answer: unknown
  try {
    answer = scheme.verify(message, context)
  } catch (error) {
    return refusal(scheme, `failed with ${error instanceof Error ? error.name : typeof error}`)
  }
  if (isVerified(answer, context.now) || isRejected(answer)) return answer
  return refusal(scheme, 'did not return a usable answer')
}

function isVerified(answer: unknown, now: number): answer is Verified {
  const { ok, keyId, nonce, usableUntil } = (answer ?? {}) as Partial<Record<keyof Verified, unknown>>
  return (
    ok === true &&
    isBounded(keyId) &&
    isBounded(nonce) &&
    // A nonce that is forgotten while its signature is still valid could be used again.
    Number.isFinite(usableUntil) &&
    (usableUntil as number) >= now
  )
}

function isBounded(text: unknown): boolean {
  return typeof text === 'string' && text.length > 0 && text.length <= MOST_CHARACTERS
}

function isRejected(answer: unknown): answer is Rejected {
  const { ok, code, detail } = (answer ?? {}) as Partial<Record<keyof Rejected, unknown>>
  return (
    ok === false &&
    isSignatureRefusal(code) &&
    SIGNATURE_REFUSALS[code].fromScheme &&
    typeof detail === 'string'
  )
}

function refusal({ name }: SignatureScheme, what: string): Rejected {
  return { ok: false, code: 'SIGNATURE_INVALID', detail: `the scheme \`${name}\` ${what}` }
}
