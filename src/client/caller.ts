import type { CallerOptions } from './options.ts'
import type { RequestToSign } from './request.ts'
import { createSigner } from './sign.ts'

/** A request as a client would send it, with the final headers. */
export interface OutgoingRequest extends Pick<RequestToSign, 'method' | 'url' | 'body'> {
  readonly headers: Headers
  readonly target?: string | undefined
}

/** Signs the requests of a caller, and adds its app id and origin to each. The options must have been checked. */
export function createCaller(
  options: CallerOptions,
): (request: OutgoingRequest) => Promise<Record<string, string>> {
  const { appId, appIdHeader = 'x-app-id', origin, covered = [], ...signing } = options
  const sign = createSigner({
    ...signing,
    covered: appId === undefined ? covered : [...covered, appIdHeader],
  })
  return async ({ headers, ...request }) => {
    if (appId !== undefined) headers.set(appIdHeader, appId)
    if (origin !== undefined) headers.set('x-origin', origin)
    return sign({ ...request, headers })
  }
}
