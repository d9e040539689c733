import { UsageError } from '../../errors.ts'
import type { GuardRequest } from '../handler.ts'
import { keepRawBody } from './content.ts'

/**
 * Passes on the bytes of a body that something other than `bodyParsers()` has read: a framework, or an adapter. Later guards
 * judge by these bytes: `serverOnly` checks their digest, `returnUrlGuard` reads their parameters. They must be the content as it
 * was received, before any decompression or decoding. `req.body` is not changed.
 *
 * @throws UsageError if they are not a `Uint8Array`, or not as long as the `Content-Length` of the request
 */
export function keepBody(req: GuardRequest, bytes: Uint8Array): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new UsageError('keepBody() needs the bytes of the body as a Uint8Array')
  }
  const { 'content-length': length, 'transfer-encoding': coding } = req.headers
  if (coding === undefined && length !== undefined && Number(length) !== bytes.length) {
    throw new UsageError(
      `keepBody() got ${bytes.length} bytes of a body whose Content-Length is ${Number(length)}: pass the content exactly as it was received`,
    )
  }
  keepRawBody(req, bytes)
}
