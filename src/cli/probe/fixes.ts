import { DENIALS, type DenialCode } from '../../decision.ts'

/** What a caller can do, by the code of a refusal. */
export const FIXES: Readonly<Record<DenialCode, string>> = {
  APP_UNIDENTIFIED: 'name the app: give `--app`, and `--app-header` if the service reads another header',
  APP_UNKNOWN: 'check the app id with the operator of the service',
  SIGNATURE_REQUIRED:
    'sign the request: give `--key-id` and the secret; a proxy on the way may remove the headers `signature` and `signature-input`',
  SIGNATURE_INVALID:
    'check that key id and secret belong together and are current; if they do, something on the way changes the host, the path or a header that is signed',
  SIGNATURE_EXPIRED: 'synchronise the clock of this machine, and create a new signature for each attempt',
  SIGNATURE_REPLAYED: 'create a new signature for each attempt: a signature is accepted once',
  DIGEST_MISMATCH:
    'something on the way changes the content (compression, a firewall, another encoding): send what was signed, byte for byte',
  BROWSER_NOT_ALLOWED: 'call from a server, and send neither `Origin` nor `Sec-Fetch-…`',
  ADDRESS_NOT_ALLOWED:
    'ask the operator to admit the address from which your requests come; behind NAT it is that of the gateway of your network',
  ORIGIN_REQUIRED: 'give `--origin` with the origin for which this server acts',
  ORIGIN_NOT_ALLOWED: 'ask the operator to admit this origin, or send another one',
  METHOD_NOT_ALLOWED: 'use another method, or ask the operator to admit this one',
  RETURN_URL_REQUIRED: 'send a return URL with the request',
  RETURN_URL_NOT_ALLOWED: 'ask the operator to admit this return URL, or send another one',
  REGION_MISDIRECTED: 'call the service in the region of the person',
  REGION_UNKNOWN: 'send the country of the person',
  PROTECTION_NOT_CONFIGURED: 'ask the operator to configure this protection for your app',
  POLICY_UNAVAILABLE: 'try again: the service cannot read its policies now',
  AUDIT_UNAVAILABLE: 'try again: the service cannot write its audit now',
  NONCES_UNAVAILABLE: 'try again: the service cannot check for replays now',
  OPTION_FAILED: 'try again, and tell the operator the request id: the service could not judge the request',
}

/** A refusal as its problem document tells it (RFC 9457). */
export interface Refused {
  readonly code: DenialCode
  readonly title: string
  /** The request id, by which the operator finds the reason. */
  readonly instance: string
  /** What the service tells of the signature in development. */
  readonly hints: string
}

/** The refusal of a guard in an answer; `undefined` where the answer is something else. */
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
