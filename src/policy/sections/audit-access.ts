import * as z from 'zod/mini'
import { finding, type PolicyFinding } from '../../lint/finding.ts'
import { mode } from '../members.ts'
import type { Protection, Section } from '../section.ts'

export interface AuditProtection extends Protection {
  /**
   * What happens if events cannot be stored. `deny`: the response is not sent. `allow`: it is sent, and the loss is reported.
   * Default `deny`.
   */
  readonly onSinkFailure: 'deny' | 'allow'
}

export const AUDIT_ACCESS: Section<AuditProtection> = {
  schema: () =>
    z.strictObject({ mode: mode(), onSinkFailure: z.prefault(z.enum(['deny', 'allow']), 'deny') }),
  compile: (section) => ({ ...section }),
}

export function lintAuditAccess({ onSinkFailure }: AuditProtection): PolicyFinding[] {
  if (onSinkFailure === 'deny') return []
  const message =
    'lets responses be sent even if their events are lost, so personal data can be read without a trace'
  return [finding('audit-loss', 'auditAccess.onSinkFailure', message, 'deny')]
}
