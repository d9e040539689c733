import * as z from 'zod/mini'
import { finding, type PolicyFinding } from '../../lint/finding.ts'
import { mode } from '../members.ts'
import type { Protection, Section } from '../section.ts'

export interface ServerOnlyProtection extends Protection {
  /**
   * The largest difference between the `created` time of a signature and now, in either direction, in seconds. Default 300.
   */
  readonly maxAge: number
  /** Whether a signature must cover a `content-digest` if the request has content. Default true. */
  readonly requireDigest: boolean
  /** Whether a signature must cover the `content-type` of content if the request has one. Default true. */
  readonly requireContentType: boolean
}

export const SERVER_ONLY: Section<ServerOnlyProtection> = {
  schema: () =>
    z.strictObject({
      mode: mode(),
      maxAge: z.prefault(z.int().check(z.gte(1), z.lte(3600)), 300),
      requireDigest: z.prefault(z.boolean(), true),
      requireContentType: z.prefault(z.boolean(), true),
    }),
  compile: (section) => ({ ...section }),
}

/** A reasonable difference between two clocks, plus the duration of a request. Also the default of the schema. */
const LONG_ENOUGH = 300

export function lintServerOnly({
  maxAge,
  requireDigest,
  requireContentType,
}: ServerOnlyProtection): PolicyFinding[] {
  const findings: PolicyFinding[] = []
  if (maxAge > LONG_ENOUGH) {
    const message = `is over ${LONG_ENOUGH} s: an intercepted request stays usable for longer, and nonces must be kept for longer`
    findings.push(finding('max-age-long', 'serverOnly.maxAge', message, String(LONG_ENOUGH)))
  }
  if (!requireDigest) {
    const message = 'lets signatures omit the body, so it can be changed in transit'
    findings.push(finding('digest-optional', 'serverOnly.requireDigest', message, 'true'))
  }
  if (!requireContentType) {
    const message =
      'lets signatures omit `content-type`, so the same bytes can be parsed as another type of body, with other parameters'
    findings.push(finding('content-type-optional', 'serverOnly.requireContentType', message, 'true'))
  }
  return findings
}
