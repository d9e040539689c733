import { STATUS_CODES } from 'node:http'
import type { GuardResponse } from '../handler.ts'

/**
 * Responds to an error if there is no error handler, with a problem document (RFC 9457). Its status is the `status` of the error,
 * or 500. It contains the message of the error only if `expose` says that callers may read it.
 */
export function sendError(res: GuardResponse, error: unknown): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  const { status: given, expose, message } = Object(error) as Partial<Record<string, unknown>>
  const status =
    Number.isInteger(given) && (given as number) >= 400 && (given as number) < 600 ? (given as number) : 500
  const document = {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    ...(expose === true && typeof message === 'string' && { detail: message }),
  }
  const body = Buffer.from(JSON.stringify(document))
  res.statusCode = status
  res.setHeader('Content-Type', 'application/problem+json')
  res.setHeader('Content-Length', body.length)
  res.setHeader('Cache-Control', 'no-store')
  res.end(body)
}
