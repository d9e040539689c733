import { allow, deny } from '../decision.ts'
import { guardOf, type Guard } from './guard.ts'

export interface AuditFacts {
  /** Whether the sink has refused events that still wait to be kept. */
  readonly sinkFailing: boolean
}

/** Can what happens now be recorded? */
export const decideAuditAccess: Guard<AuditFacts> = guardOf(
  'auditAccess',
  ({ mode, onSinkFailure }, { sinkFailing }) => {
    if (sinkFailing && onSinkFailure === 'deny') {
      return deny('auditAccess', mode, 'AUDIT_UNAVAILABLE', 'the sink does not keep events now')
    }
    return allow(
      'auditAccess',
      mode,
      sinkFailing ? 'the sink fails, and the policy lets requests pass' : 'recorded',
      { onSinkFailure },
    )
  },
)
