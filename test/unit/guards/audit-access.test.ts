import { decideAuditAccess } from '../../../src/guards/audit-access.ts'
import { describeGuard } from './table.ts'

describeGuard({ name: 'auditAccess', guard: decideAuditAccess, facts: { sinkFailing: false } }, [
  [
    'allows while the sink keeps events, and holds responses back by default',
    {},
    {},
    'ALLOWED',
    { outcome: { onSinkFailure: 'deny' }, evidence: { onSinkFailure: 'deny' } },
  ],
  [
    'allows while the sink keeps events, and holds nothing back where losses are accepted',
    { onSinkFailure: 'allow' },
    {},
    'ALLOWED',
    { outcome: { onSinkFailure: 'allow' } },
  ],
  [
    'refuses while the sink fails',
    {},
    { sinkFailing: true },
    'AUDIT_UNAVAILABLE',
    { outcome: undefined, evidence: {} },
  ],
  [
    'allows while the sink fails where losses are accepted, and says so',
    { onSinkFailure: 'allow' },
    { sinkFailing: true },
    'ALLOWED',
    { outcome: { onSinkFailure: 'allow' }, evidence: { onSinkFailure: 'allow' } },
  ],
])
