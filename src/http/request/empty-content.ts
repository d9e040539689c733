import { AsyncResource } from 'node:async_hooks'
import type { RequestHandler } from '../handler.ts'
import { framingOf, keepRawBody, keptRawBody } from './content.ts'
import { awaitContent } from './hold-body.ts'

/**
 * Where a request may have content or none, waits for its first byte or its end, so that no content is known to be none.
 * Signers of content send its digest, for which nothing has to be waited for.
 */
export const awaitEmptyContent: RequestHandler = (req, _res, next) => {
  const isOpen = framingOf(req) === 'unknown' && req.headers['content-digest'] === undefined
  if (!isOpen || keptRawBody(req) !== undefined) {
    next()
    return
  }
  // What follows belongs to this request, though the event that it follows belongs to the connection.
  const goOn = AsyncResource.bind(() => next())
  awaitContent(req, (error, hasContent) => {
    // Of a caller that has gone away nothing is known; the guard refuses.
    if (error === undefined && !hasContent) keepRawBody(req, new Uint8Array(0))
    goOn()
  })
}
