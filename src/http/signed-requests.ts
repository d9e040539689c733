import type { JudgedRequest } from './judged-request.ts'

/** Where it is kept for which apps a request is signed. */
const SIGNED = Object.freeze({ of: 'signed requests' })

/** Remembers that a `serverOnly` that enforces has allowed the request for this app. */
export function rememberSigned(request: JudgedRequest, appId: string): void {
  request.rememberEffect(SIGNED, appId, true)
}

/** Whether a `serverOnly` that enforces has allowed the request for this app. */
export function isSigned(request: JudgedRequest, appId: string): boolean {
  return request.recallEffect(SIGNED, appId) === true
}
