import type { ServerOnlyProtection } from '../sections/server-only.ts'
import { SOME_URL, type WrittenRequest } from '../written-request.ts'
import { letsAllPass, type Gain, type SectionComparison } from './side.ts'

const WITH_CONTENT = {
  method: 'POST',
  url: SOME_URL,
  headers: { 'content-type': 'application/json' },
  body: '{}',
} as const satisfies WrittenRequest

/** Compares three independent rules: a section admits more only if one of its rules is looser. */
export const COMPARE_SIGNATURES: SectionComparison<ServerOnlyProtection> = {
  members: { mode: 'passes', maxAge: 'passes', requireDigest: 'passes', requireContentType: 'passes' },
  gains({ section: from }, { section: to }): Gain | undefined {
    if (to === undefined || (from !== undefined && letsAllPass(from))) return undefined
    if (letsAllPass(to)) {
      return {
        member: memberOf(from, 'mode'),
        request: { url: SOME_URL },
        subject: 'a request without a signature',
      }
    }
    if (from === undefined) {
      return { member: '', request: { url: SOME_URL, signature: {} }, subject: 'a signed request' }
    }
    if (to.maxAge > from.maxAge) {
      const age = from.maxAge + 1
      const request = { url: SOME_URL, signature: { age } }
      return { member: 'maxAge', request, subject: `a request that was signed ${age} s ago` }
    }
    if (from.requireDigest && !to.requireDigest) {
      const request = { ...WITH_CONTENT, signature: { digest: false } }
      return {
        member: 'requireDigest',
        request,
        subject: 'a request whose signature does not cover its body',
      }
    }
    if (from.requireContentType && !to.requireContentType) {
      const request = { ...WITH_CONTENT, signature: { contentType: false } }
      const subject = 'a request whose signature does not cover `content-type`'
      return { member: 'requireContentType', request, subject }
    }
    return undefined
  },
}

function memberOf(from: object | undefined, member: string): string {
  return from === undefined ? '' : member
}
