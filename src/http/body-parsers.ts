import bodyParser from 'body-parser'
import { checkOptions, wholeNumber } from '../options.ts'
import { keepRawBody } from './facts.ts'
import type { GuardRequest, RequestHandler } from './request.ts'

export interface BodyParsersOptions {
  /** The largest body that is read, in bytes. A larger one is answered 413 by the error handler. Default 102 400. */
  readonly limit?: number | undefined
}

/**
 * Parsers for JSON (`application/json`, `application/*+json`) and form bodies that leave the parsed value in `req.body`
 * and keep the bytes as received, so that `serverOnly` can check their digest. Mount them ahead of the guards that need
 * the body.
 *
 * A malformed body goes to the error handler as an error with `status` 400, 413 or 415. Compressed bodies are answered
 * 415: the digest of RFC 9530 is over the bytes on the wire, and they are checked before anything unpacks them.
 *
 * @throws ConfigError
 */
export function bodyParsers(options: BodyParsersOptions = {}): RequestHandler[] {
  checkOptions('bodyParsers', options, { limit: wholeNumber('bytes', 1, 2 ** 30) })
  const shared = {
    limit: options.limit ?? 102_400,
    inflate: false,
    verify: (req: GuardRequest, _res: unknown, bytes: Buffer) => keepRawBody(req, bytes),
  }
  return [
    bodyParser.json({ ...shared, type: ['application/json', 'application/*+json'] }) as RequestHandler,
    bodyParser.urlencoded({ ...shared, extended: false }) as RequestHandler,
  ]
}
