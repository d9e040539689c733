import type { Severity } from '../../lint/finding.ts'

/** The worst first. */
export const SEVERITY_NAMES = ['danger', 'warning', 'advice'] as const satisfies readonly Severity[]

/** Whether a finding is at least as severe as the value of `--fail-on`. */
export function isAsBadAs(severity: Severity, limit: string | undefined): boolean {
  const names: readonly string[] = SEVERITY_NAMES
  return limit !== undefined && names.indexOf(severity) <= names.indexOf(limit)
}
