import type { Mode } from './policy/section.ts'
import type { GuardName } from './policy/sections.ts'

export type { GuardName, Mode }

export type Effect = 'allow' | 'deny'

interface Denial {
  /** HTTP status of the response. */
  readonly status: number
  /** The text that the caller sees. It reveals nothing about the policy. */
  readonly title: string
}

/** All denial codes. The code determines the status and the public title; the caller receives nothing else. */
export const DENIALS = {
  APP_UNIDENTIFIED: { status: 401, title: 'The calling app is not known' },
  APP_UNKNOWN: { status: 401, title: 'The calling app is not known' },
  SIGNATURE_REQUIRED: { status: 401, title: 'A message signature is required' },
  SIGNATURE_INVALID: { status: 401, title: 'The message signature is not valid' },
  SIGNATURE_EXPIRED: { status: 401, title: 'The message signature is outside its time window' },
  SIGNATURE_REPLAYED: { status: 401, title: 'The message signature has been used before' },
  DIGEST_MISMATCH: { status: 401, title: 'The content digest does not match the content' },
  BROWSER_NOT_ALLOWED: { status: 403, title: 'Browsers may not send this request' },
  ADDRESS_NOT_ALLOWED: { status: 403, title: 'The client address is not allowed' },
  ORIGIN_REQUIRED: { status: 403, title: 'An origin is required' },
  ORIGIN_NOT_ALLOWED: { status: 403, title: 'The origin is not allowed' },
  METHOD_NOT_ALLOWED: { status: 403, title: 'The method is not allowed for this origin' },
  RETURN_URL_REQUIRED: { status: 400, title: 'A return URL is required' },
  RETURN_URL_NOT_ALLOWED: { status: 400, title: 'The return URL is not allowed' },
  REGION_MISDIRECTED: { status: 421, title: 'This request belongs to another region' },
  REGION_UNKNOWN: { status: 403, title: 'The region of this request is not known' },
  PROTECTION_NOT_CONFIGURED: { status: 403, title: 'The app has not configured this protection' },
  POLICY_UNAVAILABLE: { status: 503, title: 'The policy of the app is not available' },
  AUDIT_UNAVAILABLE: { status: 503, title: 'The audit is not available' },
  NONCES_UNAVAILABLE: { status: 503, title: 'Replay protection is not available' },
  OPTION_FAILED: { status: 503, title: 'The service could not judge the request' },
} as const satisfies Record<string, Denial>

export type DenialCode = keyof typeof DENIALS

/** `ALLOWED`: the guard checked the request and admits it. `PROTECTION_OFF`: the policy switches the protection off. */
export type AllowanceCode = 'ALLOWED' | 'PROTECTION_OFF'

/** Facts behind a decision, for operators: the matching entry, the source of the address. Contains no personal data. */
export type Evidence = Readonly<Record<string, string | number | boolean>>

/** The answer of one guard to one request. `detail` and `evidence` are for operators and are never sent to the caller. */
export type Decision = Allowance | Refusal

export interface Allowance extends DecisionBase {
  readonly effect: 'allow'
  readonly code: AllowanceCode
}

export interface Refusal extends DecisionBase {
  readonly effect: 'deny'
  readonly code: DenialCode
}

interface DecisionBase {
  readonly guard: GuardName
  readonly mode: Mode
  readonly detail: string
  readonly evidence: Evidence
}

const NO_EVIDENCE: Evidence = Object.freeze({})

/** An `ALLOWED` decision. */
export function allow(
  guard: GuardName,
  mode: Mode,
  detail: string,
  evidence: Evidence = NO_EVIDENCE,
): Allowance {
  return { guard, effect: 'allow', mode, code: 'ALLOWED', detail, evidence }
}

/** The most allowances that one kind remembers. A policy needs only a few. */
const MOST_SHARED = 1_000

/**
 * Makes `ALLOWED` decisions of one kind that requests share: one frozen object for each combination of mode and evidence values.
 * Anything derived from such an object can be computed once instead of for each request.
 *
 * @param names the members of the evidence, in the order of their values
 */
export function sharedAllowances(
  guard: GuardName,
  detail: string,
  names: readonly string[],
): (mode: Mode, first: string, second?: string, third?: string) => Allowance {
  const known = new Map<string, Allowance>()
  // Most requests repeat the latest values, and comparing four strings is faster than building a key.
  let latest: readonly (string | undefined)[] = []
  let latestMade: Allowance | undefined
  return (mode, first, second, third) => {
    if (
      latestMade !== undefined &&
      latest[0] === mode &&
      latest[1] === first &&
      latest[2] === second &&
      latest[3] === third
    )
      return latestMade
    const key = `${mode}\n${first}\n${second ?? ''}\n${third ?? ''}`
    latest = [mode, first, second, third]
    const before = known.get(key)
    if (before !== undefined) return (latestMade = before)
    const values = [first, second, third]
    const members = names.flatMap((name, index): [string, string][] => {
      const value = values[index]
      return value === undefined ? [] : [[name, value]]
    })
    const made = Object.freeze(allow(guard, mode, detail, Object.freeze(Object.fromEntries(members))))
    if (known.size >= MOST_SHARED) known.clear()
    known.set(key, made)
    return (latestMade = made)
  }
}

/** A refusal with a code of {@link DENIALS}. */
export function deny(
  guard: GuardName,
  mode: Mode,
  code: DenialCode,
  detail: string,
  evidence: Evidence = NO_EVIDENCE,
): Refusal {
  return { guard, effect: 'deny', mode, code, detail, evidence }
}

/** The decision of a guard whose protection is `off` in the policy. */
export function protectionOff(guard: GuardName): Allowance {
  return {
    guard,
    effect: 'allow',
    mode: 'off',
    code: 'PROTECTION_OFF',
    detail: 'the policy switches this protection off',
    evidence: NO_EVIDENCE,
  }
}
