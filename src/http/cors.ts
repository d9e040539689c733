import cors from 'cors'
import type { GuardResponse } from './request.ts'

/** `origin: true` means "name the origin of the request": the facade below holds only an origin that we have allowed. */
const writeHeaders = cors({ origin: true })

/**
 * Writes the CORS headers of a response to an allowed origin, and `Vary: Origin` in any case. The `cors` package
 * writes; it sees the origin of our decision and not the request.
 */
export function writeCors(res: GuardResponse, origin: string | undefined): void {
  writeHeaders({ method: 'GET', headers: { origin } }, res, () => undefined)
}

/** Answers a preflight of an allowed origin: 204, with the methods of `cors` and the headers that were asked for. */
export function answerPreflight(
  res: GuardResponse,
  origin: string,
  requestedHeaders: string | undefined,
): void {
  const headers = { origin, 'access-control-request-headers': requestedHeaders }
  writeHeaders({ method: 'OPTIONS', headers }, res, () => undefined)
}
