import type { PolicySource } from '../source/index.ts'
import type { JudgedRequest } from './judged-request.ts'

/** Remembers that an enforcing `serverOnly` has admitted the request for this app of this source. */
export function rememberSigned(request: JudgedRequest, policies: PolicySource, appId: string): void {
  request.rememberEffect(policies, appId, SIGNED, true)
}

/**
 * Whether an enforcing `serverOnly` has admitted the request for this app. It must have used the same source: an app with the
 * same id in another source is another app.
 */
export function isSigned(request: JudgedRequest, policies: PolicySource, appId: string): boolean {
  return request.recallEffect(policies, appId, SIGNED) === true
}

const SIGNED = 'signed'
