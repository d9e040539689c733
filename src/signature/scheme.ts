import type { DiagnosisOptions, Diagnosis } from './doctor.ts'
import type { VerifierKey } from './keys.ts'
import { isSignatureRefusal, SIGNATURE_REFUSALS } from './refusals.ts'
import type { Rejected, SignatureRules, SignedMessage, Verified } from './verify.ts'

/**
 * A way in which a server proves who it is: `httpMessageSignatures()`, or one that your callers already speak.
 * It sees the message as received and never the request, keeps nothing, and answers at once.
 */
export interface SignatureScheme {
  /** For the trail. */
  readonly name: string
  /**
   * Whether a key of the app has signed this message. It must do the same work when there is no such app, which has no
   * keys. A scheme that throws, or answers with anything else, refuses.
   */
  verify(message: SignedMessage, context: SchemeContext): Verified | Rejected
  /** Headers for the answer 401, by the message alone, that tell a caller how to sign. Default: no headers. */
  challenge?(message: SignedMessage): Readonly<Record<string, string>>
  /** What a signer has done wrong whose signature was refused as `SIGNATURE_INVALID` or `DIGEST_MISMATCH`. */
  diagnose?(message: SignedMessage, context: SchemeContext, options: DiagnosisOptions): Diagnosis
}

/** What a scheme judges a message by. */
export interface SchemeContext {
  /** The app that the request claims to come from; empty when there is no such app. */
  readonly appId: string
  /** Its keys; empty when there is no such app. */
  readonly keys: readonly VerifierKey[]
  readonly rules: SignatureRules
  /** Milliseconds since the epoch. */
  readonly now: number
}

// A key of a store, and so bounded.
const MOST_CHARACTERS = 256

/** Asks a scheme, and believes only a whole answer. Never throws. */
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
  return refusal(scheme, 'gave no usable answer')
}

function isVerified(answer: unknown, now: number): answer is Verified {
  const { ok, keyId, nonce, usableUntil } = (answer ?? {}) as Partial<Record<keyof Verified, unknown>>
  return (
    ok === true &&
    isBounded(keyId) &&
    isBounded(nonce) &&
    // A nonce that is forgotten while its signature is still good would let it pass again.
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
