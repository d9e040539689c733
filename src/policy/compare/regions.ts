import { COUNTRIES } from '../../jurisdiction/countries.ts'
import type { CompiledJurisdictions } from '../../jurisdiction/jurisdictions.ts'
import type { RegionProtection } from '../sections/region-pin.ts'
import { SOME_URL } from '../written-request.ts'
import { letsAllPass, type Comparing, type Gain, type SectionComparison } from './side.ts'

/**
 * Compares one request for each location and jurisdiction, and for people whose country is unknown. These are all the cases.
 */
export const COMPARE_REGIONS: SectionComparison<RegionProtection> = {
  members: { mode: 'passes', fallback: 'passes', onMisdirected: 'answers' },
  gains(
    { section: from },
    { section: to },
    { jurisdictions, namedJurisdictions }: Comparing,
  ): Gain | undefined {
    for (const here of jurisdictions.locations) {
      for (const country of [undefined, ...countriesOf(jurisdictions)]) {
        const asked = { here, country, jurisdictions }
        if (!passes(to, asked) || passes(from, asked)) continue
        const who = country === undefined ? 'a person whose country is unknown' : `a person from ${country}`
        return {
          member: from === undefined || to === undefined ? '' : from.mode === to.mode ? 'fallback' : 'mode',
          request: {
            url: SOME_URL,
            here,
            ...(country !== undefined && { country }),
            ...(namedJurisdictions !== undefined && { jurisdictions: namedJurisdictions }),
          },
          subject: `a request in ${here} about ${who}`,
        }
      }
    }
    return undefined
  },
}

interface Asked {
  readonly here: string
  readonly country: string | undefined
  readonly jurisdictions: CompiledJurisdictions
}

function passes(section: RegionProtection | undefined, { here, country, jurisdictions }: Asked): boolean {
  if (section === undefined || letsAllPass(section)) return section !== undefined
  const jurisdiction = jurisdictions.locate(country)?.jurisdiction ?? section.fallback
  if (jurisdiction === undefined) return false
  return jurisdictions.locationsOf(jurisdiction)?.includes(here) === true
}

const known = new WeakMap<CompiledJurisdictions, readonly string[]>()

/** One country of each jurisdiction, and one outside all jurisdictions if there is one. */
function countriesOf(jurisdictions: CompiledJurisdictions): readonly string[] {
  const kept = known.get(jurisdictions)
  if (kept !== undefined) return kept
  const byJurisdiction = new Map<string | undefined, string>()
  for (const country of [...COUNTRIES].toSorted()) {
    const jurisdiction = jurisdictions.locate(country)?.jurisdiction
    if (!byJurisdiction.has(jurisdiction)) byJurisdiction.set(jurisdiction, country)
  }
  const found = [...byJurisdiction.values()]
  known.set(jurisdictions, found)
  return found
}
