/**
 * `danger`: a protection that lets nearly everybody pass although it is there, or that strangers can walk through.
 * `warning`: weaker than it could be, or probably a mistake. `advice`: could be said better.
 */
export type Severity = 'danger' | 'warning' | 'advice'

/** Everything that can be found. The severity follows from the code. */
const SEVERITIES = {
  'section-missing': 'warning',
  'mode-off': 'warning',
  'mode-report': 'warning',
  'empty-list': 'warning',
  'entry-swallowed': 'advice',
  'entry-expired': 'advice',
  'max-age-long': 'warning',
  'digest-optional': 'warning',
  'admits-everybody': 'danger',
  'wide-range': 'warning',
  'special-purpose': 'warning',
  'range-denied': 'warning',
  'mergeable-ranges': 'advice',
  'ipv4-missing': 'advice',
  'ipv6-missing': 'advice',
  'deny-without-effect': 'advice',
  'null-origin': 'danger',
  'insecure-scheme': 'danger',
  localhost: 'warning',
  'look-alike-host': 'warning',
  'wildcard-domain': 'advice',
  'credentials-wildcard': 'warning',
  'whole-origin': 'warning',
  'exact-possible': 'advice',
  'region-fallback': 'warning',
  'audit-loss': 'warning',
  'shared-key': 'danger',
} as const satisfies Record<string, Severity>

type FindingCode = keyof typeof SEVERITIES

/** Something in a policy or a named list that its owner may not have meant, or could protect better. */
export interface PolicyFinding {
  /** Stable and machine-readable. */
  readonly code: FindingCode
  /** Where: `ipWhitelist.ranges[3]`; the name of a section when it is missing. In a list `[3]`; empty for all of it. */
  readonly path: string
  readonly severity: Severity
  /** One line: what it is, and why it matters. */
  readonly message: string
  /** What to write there instead, where there is one answer; as JSON unless it is a string. */
  readonly corrected?: string | undefined
}

export function finding(code: FindingCode, path: string, message: string, corrected?: string): PolicyFinding {
  return { code, path, severity: SEVERITIES[code], message, corrected }
}

/** A finding about an entry of a list, or without an index about the list itself. */
export interface Note {
  readonly code: FindingCode
  readonly index?: number
  readonly message: string
  readonly corrected?: string | undefined
}

/** The findings of one list, in the order of its entries. */
export function findingsAt(path: string, notes: readonly Note[]): PolicyFinding[] {
  return notes
    .toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1))
    .map(({ code, index, message, corrected }) =>
      finding(code, index === undefined ? path : `${path}[${index}]`, message, corrected),
    )
}
