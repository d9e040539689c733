import { allow, deny, type Mode } from '../decision.ts'
import type { AuditProtection } from '../policy/policy.ts'
import { guardOf, type Guard } from './guard.ts'

export interface AuditFacts {
  /** Whether the sink has refused events that are still waiting to be stored. */
  readonly sinkFailing: boolean
  /** Why the response cannot wait for the sink. Left out if it can. */
  readonly notHeldBecause?: string | undefined
}

/** What happens to a response whose events cannot be stored. */
export type AuditOutcome = Pick<AuditProtection, 'onSinkFailure'>

/** Decides whether the request can be recorded. */
export const decideAuditAccess: Guard<AuditFacts, AuditOutcome> = guardOf(
  'auditAccess',
  ({ mode, onSinkFailure }, { sinkFailing, notHeldBecause }) => {
    if (notHeldBecause !== undefined && onSinkFailure === 'deny') {
      const detail = `the response cannot be held back: ${notHeldBecause}`
      return { decision: deny('auditAccess', mode, 'AUDIT_UNAVAILABLE', detail) }
    }
    if (!sinkFailing) return RECORDED[mode][onSinkFailure]
    if (onSinkFailure === 'deny') {
      const detail = 'the sink is not storing events at the moment'
      return { decision: deny('auditAccess', mode, 'AUDIT_UNAVAILABLE', detail) }
    }
    const detail = 'the sink is not storing events, and the policy admits requests without them'
    return {
      decision: allow('auditAccess', mode, detail, { onSinkFailure }),
      outcome: { onSinkFailure },
    }
  },
)

function recorded(
  mode: Mode,
  onSinkFailure: AuditProtection['onSinkFailure'],
): ReturnType<Guard<AuditFacts, AuditOutcome>> {
  const decision = Object.freeze(allow('auditAccess', mode, 'recorded', Object.freeze({ onSinkFailure })))
  return Object.freeze({ decision, outcome: Object.freeze({ onSinkFailure }) })
}

/** Shared, because the usual judgement is the same for every request. */
const RECORDED = {
  enforce: { deny: recorded('enforce', 'deny'), allow: recorded('enforce', 'allow') },
  report: { deny: recorded('report', 'deny'), allow: recorded('report', 'allow') },
  off: { deny: recorded('off', 'deny'), allow: recorded('off', 'allow') },
} as const
