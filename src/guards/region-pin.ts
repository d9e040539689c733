import { allow, deny } from '../decision.ts'
import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import { guardOf, type Guard } from './guard.ts'

export interface RegionFacts {
  /** The location where this instance runs: `london`. */
  readonly here: string
  /** Citizenship of the person: one ISO 3166-1 alpha-2 code or several; anything else counts as not known. */
  readonly country: unknown
  readonly jurisdictions: CompiledJurisdictions
}

/** May this person's data be handled here? */
export const decideRegionPin: Guard<RegionFacts> = guardOf(
  'regionPin',
  ({ mode, fallback, onMisdirected }, { here, country, jurisdictions }) => {
    const known = jurisdictions.locate(country)?.jurisdiction
    const jurisdiction = known ?? fallback
    if (jurisdiction === undefined) {
      return deny(
        'regionPin',
        mode,
        'REGION_UNKNOWN',
        'no usable country, and the policy names no fallback',
        { here },
      )
    }
    const locations = jurisdictions.locationsOf(jurisdiction)
    if (locations === undefined) {
      return deny('regionPin', mode, 'REGION_UNKNOWN', 'the fallback of the policy is not a jurisdiction', {
        here,
        jurisdiction,
      })
    }
    const evidence = { here, jurisdiction, source: known === undefined ? 'fallback' : 'country' }
    if (!locations.includes(here)) {
      return deny(
        'regionPin',
        mode,
        'REGION_MISDIRECTED',
        'the data of this person must stay in another jurisdiction',
        { ...evidence, onMisdirected },
      )
    }
    return allow('regionPin', mode, 'the data of this person may be handled here', evidence)
  },
)
