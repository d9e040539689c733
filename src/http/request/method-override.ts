import type { MethodOverride } from '../../signature/verify.ts'
import type { GuardRequest } from '../handler.ts'

/** What is known of the method of a request. */
export interface ReceivedMethod {
  /** The method as it was received. */
  readonly method: string
  /** What has changed it since; `undefined` when handlers see it as it was received. */
  readonly override: MethodOverride | undefined
}

/**
 * The method of a request as it was received, and by which headers it was changed since. `method-override` leaves the one in
 * `req.originalMethod`; of other middleware there is a trace only where a guard has looked before.
 *
 * Which header did it is not recorded anywhere, so every header counts that names the new method as its first value.
 *
 * @param method the method that handlers see
 * @param seenBefore the method when the request was first looked at
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

/** The first of the values of a header that may be a list, as `method-override` reads it. */
function firstValue(value: string | readonly string[] | undefined): string {
  const text = typeof value === 'string' ? value : (value?.[0] ?? '')
  const comma = text.indexOf(',')
  return (comma === -1 ? text : text.slice(0, comma)).trim().toUpperCase()
}
