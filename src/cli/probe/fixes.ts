import { DENIALS, type DenialCode } from '../../decision.ts'

/** What a caller can do about a refusal, by its code. */
export const FIXES: Readonly<Record<DenialCode, string>> = {
  APP_UNIDENTIFIED: 'name the app: give `--app`, and `--app-header` if the service reads another header',
  APP_UNKNOWN: 'check the app id with the operator of the service',
  SIGNATURE_REQUIRED:
    'sign the request: give `--key-id` and the secret; or check whether a proxy removes the headers `signature` and `signature-input`',
  SIGNATURE_INVALID:
    'check that the key id and the secret belong together and are current; if they do, a proxy in between changes the host, the path or a signed header',
  SIGNATURE_EXPIRED: 'synchronise the clock of this machine, and sign each attempt again',
  SIGNATURE_REPLAYED: 'sign each attempt again: a signature is valid only once',
  DIGEST_MISMATCH:
    'find what changes the content in transit (compression, a firewall, another encoding): it must arrive byte for byte as it was signed',
  BROWSER_NOT_ALLOWED: 'call from a server, and send neither `Origin` nor `Sec-Fetch-…`',
  ADDRESS_NOT_ALLOWED:
    "ask the operator to allow the address your requests come from; behind NAT this is the address of your network's gateway",
  ORIGIN_REQUIRED: 'give `--origin` with the origin on whose behalf this server calls',
  ORIGIN_NOT_ALLOWED: 'ask the operator to allow this origin, or send another one',
  METHOD_NOT_ALLOWED: 'use another method, or ask the operator to allow this one',
  RETURN_URL_REQUIRED: 'send a return URL with the request',
  RETURN_URL_NOT_ALLOWED: 'ask the operator to allow this return URL, or send another one',
  REGION_MISDIRECTED: "call the service in the person's region",
  REGION_UNKNOWN: "send the person's country",
  PROTECTION_NOT_CONFIGURED: 'ask the operator to configure this protection for your app',
  POLICY_UNAVAILABLE: 'try again later: the service cannot read its policies at the moment',
  AUDIT_UNAVAILABLE: 'try again later: the service cannot write its audit log at the moment',
  NONCES_UNAVAILABLE: 'try again later: the service cannot check for replays at the moment',
  OPTION_FAILED:
    'try again later, and give the operator the request id: the service could not judge the request',
}

/** A refusal, as in its problem document (RFC 9457). */
export interface Refused {
  readonly code: DenialCode
  readonly title: string
  /** The request id, with which the operator finds the reason. */
  readonly instance: string
  /** The hints about the signature that the service gives in development. */
  readonly hints: string
}

/** The refusal of a guard in an answer; `undefined` if the answer is anything else. */
export function refusedIn(text: string): Refused | undefined {
  let document: Readonly<Record<string, unknown>> | null
  try {
    document = JSON.parse(text) as Readonly<Record<string, unknown>> | null
  } catch {
    return undefined
  }
  const code = document?.['code']
  if (typeof code !== 'string' || !Object.hasOwn(DENIALS, code)) return undefined
  const { title } = DENIALS[code as DenialCode]
  const told = ['detail', 'mistake', 'components'].map((name) => document?.[name])
  const hints = told.flatMap((value) =>
    typeof value === 'string'
      ? [value]
      : Array.isArray(value) && value.length > 0
        ? [`differs in ${value.join(', ')}`]
        : [],
  )
  const instance = document?.['instance']
  return {
    code: code as DenialCode,
    title,
    instance: typeof instance === 'string' ? instance : 'unknown',
    hints: hints.join('; '),
  }
}
