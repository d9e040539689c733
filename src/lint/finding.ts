import { helpFor } from '../errors.ts'

/**
 * `danger`: a protection that lets almost everybody or any stranger pass. `warning`: weaker than it could be, or probably a
 * mistake. `advice`: could be written better.
 */
export type Severity = 'danger' | 'warning' | 'advice'

/** The code of every finding, with its severity. `docs/codes.md` explains each code. */
export const SEVERITIES = {
  'section-missing': 'warning',
  'mode-off': 'warning',
  'mode-report': 'warning',
  'empty-list': 'warning',
  'entry-duplicate': 'advice',
  'entry-swallowed': 'advice',
  'entry-expired': 'advice',
  'max-age-long': 'warning',
  'digest-optional': 'warning',
  'content-type-optional': 'warning',
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
  'server-unchecked': 'danger',
  'whole-origin': 'warning',
  'exact-possible': 'advice',
  'region-fallback': 'warning',
  'audit-loss': 'warning',
  'shared-key': 'danger',
} as const satisfies Record<string, Severity>

type FindingCode = keyof typeof SEVERITIES

/** Something in a policy or a named list that its owner may not have intended, or could protect better. */
export interface PolicyFinding {
  /** Stable and machine-readable. */
  readonly code: FindingCode
  /**
   * The path: `ipWhitelist.ranges[3]`, or the name of a missing section. In a named list: `[3]`, or empty for the whole list.
   */
  readonly path: string
  readonly severity: Severity
  /** One line that follows the path: what is wrong, and why it matters. */
  readonly message: string
  /** The explanation of the code, relative to the root of the package: `docs/codes.md#mode-off`. */
  readonly help: string
  /** What to write instead, if there is a single answer. As JSON unless it is a string. */
  readonly corrected?: string | undefined
}

export function finding(code: FindingCode, path: string, message: string, corrected?: string): PolicyFinding {
  return { code, path, severity: SEVERITIES[code], message, help: helpFor(code), corrected }
}

/** A finding about an entry of a list, or about the list itself if `index` is left out. */
export interface Note {
  readonly code: FindingCode
  readonly index?: number
  readonly message: string
  readonly corrected?: string | undefined
}

/** The findings of one list, in the order of its entries. */
export function findingsAt(path: string, notes: readonly Note[]): PolicyFinding[] {
  return notes
    .map((note) => Object.assign(Object.create(null), note) as Note)
    .toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1))
    .map(({ code, index, message, corrected }) =>
      finding(code, index === undefined ? path : `${path}[${index}]`, message, corrected),
    )
}
