import type { DenialCode } from '../decision.ts'

interface Refusal {
  /** Whether a scheme may return it. Only the nonce store detects a replay. */
  readonly fromScheme: boolean
  /** Whether the doctor searches for the signer's mistake. */
  readonly diagnosed: boolean
}

/** Every code of a refused signature. The response to each of them tells the caller how to sign. */
export const SIGNATURE_REFUSALS = {
  SIGNATURE_REQUIRED: { fromScheme: true, diagnosed: false },
  SIGNATURE_INVALID: { fromScheme: true, diagnosed: true },
  SIGNATURE_EXPIRED: { fromScheme: true, diagnosed: false },
  SIGNATURE_REPLAYED: { fromScheme: false, diagnosed: false },
  DIGEST_MISMATCH: { fromScheme: true, diagnosed: true },
} as const satisfies Partial<Record<DenialCode, Refusal>>

export type SignatureRefusalCode = keyof typeof SIGNATURE_REFUSALS

/** The codes that a scheme may return. */
export type SchemeRefusalCode = {
  [Code in SignatureRefusalCode]: (typeof SIGNATURE_REFUSALS)[Code]['fromScheme'] extends true ? Code : never
}[SignatureRefusalCode]

/** Whether a code means that a signature is refused. */
export function isSignatureRefusal(code: unknown): code is SignatureRefusalCode {
  return typeof code === 'string' && Object.hasOwn(SIGNATURE_REFUSALS, code)
}
