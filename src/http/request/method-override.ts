import type { MethodOverride } from '../../signature/verify.ts'
import type { GuardRequest } from '../handler.ts'

/** What is known about the method of a request. */
export interface ReceivedMethod {
  /** The method as it was received. */
  readonly method: string
  /** How it was changed since; `undefined` if handlers see it as it was received. */
  readonly override: MethodOverride | undefined
}

/**
 * Returns the method of a request as it was received, and the headers that may have changed it since. `method-override` leaves
 * the received method in `req.originalMethod`; a change by other middleware is visible only if a guard has seen the request
 * before.
 *
 * Nothing records which header changed the method, so every header counts whose first value is the new method.
 *
 * @param method the method that handlers see
 * @param seenBefore the method when the request was first seen
 */
export function readMethod(req: GuardRequest, method: string, seenBefore: string): ReceivedMethod {
  const { originalMethod } = req as { originalMethod?: unknown }
  const received = typeof originalMethod === 'string' && originalMethod !== '' ? originalMethod : seenBefore
  if (received === method) return { method: received, override: undefined }
  const names: string[] = []
  const { headers } = req
  for (const name in headers) if (firstValue(headers[name]) === method.toUpperCase()) names.push(name)
  return { method: received, override: { method, headers: names } }
}

/** The first value of a header that may be a list, as `method-override` reads it. */
function firstValue(value: string | readonly string[] | undefined): string {
  const text = typeof value === 'string' ? value : (value?.[0] ?? '')
  const comma = text.indexOf(',')
  return (comma === -1 ? text : text.slice(0, comma)).trim().toUpperCase()
}
