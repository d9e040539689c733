import type { RequestHandler } from '../handler.ts'
import { boundNext } from './bound-next.ts'
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
  const goOn = boundNext(next)
  awaitContent(req, (error, hasContent) => {
    // If the caller has disconnected, nothing is known, and the guard refuses.
    if (error === undefined && !hasContent) keepRawBody(req, new Uint8Array(0))
    goOn()
  })
}
