import type { AuditProtection } from '../sections/audit-access.ts'
import { SOME_URL } from '../written-request.ts'
import { letsAllPass, type SectionComparison } from './side.ts'

/** Compares who passes while events can be stored, and who passes while they cannot. */
export const COMPARE_AUDIT: SectionComparison<AuditProtection> = {
  members: { mode: 'passes', onSinkFailure: 'passes' },
  gains({ section: from }, { section: to }) {
    if (to === undefined) return undefined
    if (from === undefined) return { member: '', request: { url: SOME_URL }, subject: 'every request' }
    if (passesUnkept(from) || !passesUnkept(to)) return undefined
    const member = letsAllPass(to) ? 'mode' : 'onSinkFailure'
    const subject = 'a request whose events cannot be kept'
    return { member, request: { url: SOME_URL, sinkFails: true }, subject }
  },
}

function passesUnkept(section: AuditProtection): boolean {
  return letsAllPass(section) || section.onSinkFailure === 'allow'
}
