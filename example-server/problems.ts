import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'

/** The gateway's own refusals. Those of the guards have other codes. */
const PROBLEMS = {
  INVALID_REQUEST: { status: 400, title: 'The request is not valid' },
  CODE_INVALID: { status: 400, title: 'The code is invalid or has expired' },
  TOKEN_INVALID: { status: 401, title: 'The access token is invalid or has expired' },
  SCOPE_NOT_ALLOWED: { status: 403, title: 'The app may not ask for this' },
  HTTPS_REQUIRED: { status: 403, title: 'This service is available only over HTTPS' },
  PROXY_REQUIRED: { status: 403, title: 'This service is available only through its proxy' },
  NOT_FOUND: { status: 404, title: 'Not found' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The method is not allowed here' },
  CONTENT_TOO_LARGE: { status: 413, title: 'The content is too large' },
  UNSUPPORTED_CONTENT: { status: 415, title: 'The content type or encoding is not supported' },
  TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests; try again later' },
  UNAVAILABLE: { status: 503, title: 'The service is temporarily unavailable' },
  INTERNAL: { status: 500, title: 'Something went wrong' },
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** The path of an invalid field, and what was expected. It must not contain the given value. */
export interface FieldProblem {
  readonly path: string
  readonly message: string
}

/** Answers `application/problem+json` (RFC 9457). */
export function sendProblem(
  req: Request,
  res: Response,
  code: ProblemCode,
  errors?: readonly FieldProblem[],
): void {
  const { status, title } = PROBLEMS[code]
  const instance = (req as { portcullis?: { requestId: string } }).portcullis?.requestId ?? randomUUID()
  if (code === 'TOKEN_INVALID') res.set('WWW-Authenticate', 'Bearer error="invalid_token"')
  if (status === 503 && !res.hasHeader('Retry-After')) res.set('Retry-After', '2')
  res
    .status(status)
    .set({ 'Cache-Control': 'no-store', 'X-Request-Id': instance })
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title, status, code, instance, ...(errors && { errors }) }))
}

/** The code for an error of Express or of a body parser. */
export function problemOf(error: unknown): ProblemCode {
  const { status, name } = error as { status?: unknown; name?: unknown }
  if (status === 413) return 'CONTENT_TOO_LARGE'
  if (status === 415) return 'UNSUPPORTED_CONTENT'
  if (typeof status === 'number' && status >= 400 && status < 500) return 'INVALID_REQUEST'
  return name === 'URIError' ? 'INVALID_REQUEST' : 'INTERNAL'
}
