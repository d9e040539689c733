import * as z from 'zod/mini'
import { finding, type PolicyFinding } from '../../lint/finding.ts'
import { mode } from '../members.ts'
import type { Protection, Section } from '../section.ts'

export interface RegionProtection extends Protection {
  /** What happens to a request about a person whose data must stay elsewhere. Default `reject`. */
  readonly onMisdirected: 'reject' | 'redirect' | 'handOver'
  /** The jurisdiction of people whose country is unknown, or belongs to no jurisdiction. Default: requests about them are refused. */
  readonly fallback?: string | undefined
}

export const REGION_PIN: Section<RegionProtection> = {
  schema: () =>
    z.strictObject({
      mode: mode(),
      onMisdirected: z.prefault(z.enum(['reject', 'redirect', 'handOver']), 'reject'),
      fallback: z.optional(z.string().check(z.minLength(1), z.maxLength(64))),
    }),
  compile: ({ mode, onMisdirected, fallback }) => ({ mode, onMisdirected, fallback }),
}

export function lintRegionPin({ fallback }: RegionProtection): PolicyFinding[] {
  if (fallback === undefined) return []
  const message =
    'applies to people whose country is unknown, and can be wrong; without it, their requests are refused'
  return [finding('region-fallback', 'regionPin.fallback', message)]
}
