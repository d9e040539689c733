import { quoted } from '../../audit/json-text.ts'
import { DENIALS, type DenialCode } from '../../decision.ts'
import type { GuardResponse } from '../handler.ts'

/** The longest `Retry-After` of a 503, in seconds. The value is random, because callers must not all return together. */
const MAX_RETRY_AFTER = 5

/** The problem document of a refusal (RFC 9457). */
export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: DenialCode
  readonly instance: string
}

const TYPES = Object.fromEntries(
  Object.keys(DENIALS).map((code) => [
    code,
    `urn:problem-type:portcullis:${code.toLowerCase().replaceAll('_', '-')}`,
  ]),
) as Readonly<Record<DenialCode, string>>

export function problemDocument(code: DenialCode, requestId: string): ProblemDocument {
  const { status, title } = DENIALS[code]
  return { type: TYPES[code], title, status, code, instance: requestId }
}

/** The text of each document up to the value of its last member, the request id. */
const STARTS = Object.fromEntries(
  Object.keys(DENIALS).map((code) => {
    const whole = JSON.stringify(problemDocument(code as DenialCode, ''))
    return [code, whole.slice(0, -'""}'.length)]
  }),
) as Readonly<Record<DenialCode, string>>

/**
 * Sends a refusal as `application/problem+json` (RFC 9457). The document has the code, its public title and the request id, and
 * nothing about the policy, the request or the reason. The members of `extension` are added.
 */
export function sendProblem(
  res: GuardResponse,
  code: DenialCode,
  requestId: string,
  extension?: Readonly<Record<string, unknown>>,
): void {
  const { status } = DENIALS[code]
  // Node sends a string together with the head, in one write and one encoding: that of the head, because other middleware may
  // have set headers that are not ASCII. So the body must be ASCII.
  const body =
    extension === undefined
      ? `${STARTS[code]}${quoted(requestId)}}`
      : JSON.stringify({ ...problemDocument(code, requestId), ...extension }).replaceAll(
          /[\u0080-\uffff]/g,
          escaped,
        )
  res.statusCode = status
  res.setHeader('Content-Type', 'application/problem+json')
  res.setHeader('Content-Length', body.length)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Request-Id', requestId)
  // RFC 9110 11.6.1 asks for a challenge with every 401.
  if (status === 401) res.setHeader('WWW-Authenticate', 'Signature')
  if (status === 503) res.setHeader('Retry-After', String(1 + Math.floor(Math.random() * MAX_RETRY_AFTER)))
  res.end(body, 'latin1')
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
