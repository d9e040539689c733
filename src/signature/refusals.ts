import type { DenialCode } from '../decision.ts'

interface Refusal {
  /** Whether a scheme may answer it. A replay is found by the nonce store. */
  readonly fromScheme: boolean
  /** Whether the signature is examined for a mistake of its signer. */
  readonly diagnosed: boolean
}

/** Every code by which a signature is refused. The answer to each of them tells the caller how to sign. */
export const SIGNATURE_REFUSALS = {
  SIGNATURE_REQUIRED: { fromScheme: true, diagnosed: false },
  SIGNATURE_INVALID: { fromScheme: true, diagnosed: true },
  SIGNATURE_EXPIRED: { fromScheme: true, diagnosed: false },
  SIGNATURE_REPLAYED: { fromScheme: false, diagnosed: false },
  DIGEST_MISMATCH: { fromScheme: true, diagnosed: true },
} as const satisfies Partial<Record<DenialCode, Refusal>>

export type SignatureRefusalCode = keyof typeof SIGNATURE_REFUSALS

/** The codes that a scheme may answer. */
export type SchemeRefusalCode = {
  [Code in SignatureRefusalCode]: (typeof SIGNATURE_REFUSALS)[Code]['fromScheme'] extends true ? Code : never
}[SignatureRefusalCode]

/** Whether a code is one by which a signature is refused. */
export function isSignatureRefusal(code: unknown): code is SignatureRefusalCode {
  return typeof code === 'string' && Object.hasOwn(SIGNATURE_REFUSALS, code)
}
