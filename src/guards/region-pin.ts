import { deny, sharedAllowances } from '../decision.ts'
import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { RegionProtection } from '../policy/policy.ts'
import { guardOf, type Guard } from './guard.ts'

export interface RegionFacts {
  /** The location of this instance: `london`. */
  readonly here: string
  /** The identifier of the person. If it names a jurisdiction, the country is ignored. */
  readonly id?: unknown
  /** The citizenship of the person: one ISO 3166-1 alpha-2 code or several. Anything else means unknown. */
  readonly country: unknown
  readonly jurisdictions: CompiledJurisdictions
}

/** Where the data of the person must stay, and what happens to a misdirected request. */
export interface RegionOutcome extends Pick<RegionProtection, 'onMisdirected'> {
  readonly jurisdiction: string
  readonly locations: readonly string[]
}

/** Decides whether this person's data may be handled here. */
export const decideRegionPin: Guard<RegionFacts, RegionOutcome> = guardOf(
  'regionPin',
  ({ mode, fallback, onMisdirected }, { here, id, country, jurisdictions }) => {
    const byId = id === undefined ? undefined : jurisdictions.locateId(id)?.jurisdiction
    const known = byId ?? jurisdictions.locate(country)?.jurisdiction
    const jurisdiction = known ?? fallback
    if (jurisdiction === undefined) {
      const detail = 'no usable country, and the policy has no fallback'
      return { decision: deny('regionPin', mode, 'REGION_UNKNOWN', detail, { here }) }
    }
    const locations = jurisdictions.locationsOf(jurisdiction)
    if (locations === undefined) {
      const detail = 'the fallback of the policy is not a jurisdiction'
      return { decision: deny('regionPin', mode, 'REGION_UNKNOWN', detail, { here, jurisdiction }) }
    }
    const source = byId !== undefined ? 'id' : known === undefined ? 'fallback' : 'country'
    const outcome = { jurisdiction, locations, onMisdirected }
    if (locations.includes(here)) {
      return { decision: allowedHere(mode, here, jurisdiction, source), outcome }
    }
    const detail = 'the data of this person must stay in another jurisdiction'
    const evidence = { here, jurisdiction, source, onMisdirected }
    const decision = deny('regionPin', mode, 'REGION_MISDIRECTED', detail, evidence)
    return { decision, outcome }
  },
)

const allowedHere = sharedAllowances('regionPin', 'the data of this person may be handled here', [
  'here',
  'jurisdiction',
  'source',
])
