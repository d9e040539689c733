import type { PolicySource } from '../source/index.ts'
import type { JudgedRequest } from './judged-request.ts'

/** Remembers that a `serverOnly` that enforces has allowed the request for this app of this source. */
export function rememberSigned(request: JudgedRequest, policies: PolicySource, appId: string): void {
  request.rememberEffect(policies, appId, SIGNED, true)
}

/**
 * Whether a `serverOnly` that enforces has allowed the request for this app. It must have asked the same source: an app of
 * the same id in another one is another app.
 */
export function isSigned(request: JudgedRequest, policies: PolicySource, appId: string): boolean {
  return request.recallEffect(policies, appId, SIGNED) === true
}

const SIGNED = 'signed'
