import type { CallerOptions } from './options.ts'
import type { RequestToSign } from './request.ts'
import { createSigner } from './sign.ts'

/** A request as a client would send it; its headers are those that go out. */
export interface OutgoingRequest extends Pick<RequestToSign, 'method' | 'url' | 'body'> {
  readonly headers: Headers
  readonly target?: string | undefined
}

/** Signs what a caller sends, with the app id and the origin that it always names. The options have been checked. */
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
