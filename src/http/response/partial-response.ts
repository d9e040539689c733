import type { OutgoingHttpHeaders } from 'node:http'
import type { GuardResponse } from '../handler.ts'

// Socket.IO runs the middleware of `io.engine.use` on upgrades too, with a response that has few methods and sends nothing.

/** The names of the headers that are set; empty if the response does not know them. */
export function headerNamesOf(res: GuardResponse): readonly string[] {
  return typeof res.getHeaderNames === 'function' ? res.getHeaderNames() : []
}

/** The headers that are set; empty if the response does not know them. */
export function headersOf(res: GuardResponse): OutgoingHttpHeaders {
  return typeof res.getHeaders === 'function' ? res.getHeaders() : {}
}
