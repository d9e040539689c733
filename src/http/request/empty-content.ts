import { AsyncResource } from 'node:async_hooks'
import type { RequestHandler } from '../handler.ts'
import { framingOf, keepRawBody, keptRawBody } from './content.ts'
import { awaitContent } from './hold-body.ts'

/**
 * Waits for the first byte or the end of a request whose head does not say whether it has content: empty content counts as none.
 * With a `Content-Digest` there is no need to wait, because only signers of content send it.
 */
export const awaitEmptyContent: RequestHandler = (req, _res, next) => {
  const isOpen = framingOf(req) === 'unknown' && req.headers['content-digest'] === undefined
  if (!isOpen || keptRawBody(req) !== undefined) {
    next()
    return
  }
  // Later handlers belong to the async context of this request, but the event belongs to that of the connection.
  const goOn = AsyncResource.bind(() => next())
  awaitContent(req, (error, hasContent) => {
    // If the caller has disconnected, nothing is known, and the guard refuses.
    if (error === undefined && !hasContent) keepRawBody(req, new Uint8Array(0))
    goOn()
  })
}
