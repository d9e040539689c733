import { ConfigError } from '../errors.ts'
import {
  aLocationOf,
  BY_DEFAULT,
  compileJurisdictions,
  type CompiledJurisdictions,
  type Jurisdictions,
} from '../jurisdiction/jurisdictions.ts'
import type { PersonId } from '../jurisdiction/person-id.ts'
import { checkOptions, issueOf, type Expectation } from '../options.ts'
import { randomId } from '../random-id.ts'

export type NameOf<J extends Jurisdictions> = keyof J & string
export type LocationOf<J extends Jurisdictions> = J[NameOf<J>]['locations'][number]

export interface RegionsOptions<J extends Jurisdictions> {
  /**
   * Which locations may hold the data of citizens of which countries. Default: Europeans in London and Frankfurt, all others in
   * Dallas.
   */
  readonly jurisdictions?: J | undefined
  /** The location where this process runs. Left out: unknown. */
  readonly here?: LocationOf<J> | undefined
}

/** The jurisdiction of a person, and how it was determined. */
export interface Belonging<J extends string> {
  readonly jurisdiction: J
  readonly by: 'id' | 'country'
}

/** The jurisdictions of an application. */
export interface Regions<J extends Jurisdictions = Jurisdictions> {
  readonly jurisdictions: J
  readonly here: LocationOf<J> | undefined
  /** The names, the most protective first. */
  readonly names: readonly NameOf<J>[]
  /** The jurisdiction of a person: by the identifier, otherwise by citizenship; `undefined` if neither determines it. */
  belonging(person: { readonly id?: unknown; readonly countries?: unknown }): Belonging<NameOf<J>> | undefined
  /** A new random identifier for a person of this jurisdiction. */
  newPersonId<N extends NameOf<J>>(jurisdiction: N): PersonId<N>
}

const compiled = new WeakMap<object, CompiledJurisdictions>()

/**
 * Checks the jurisdictions once, so that the guard and the store share them.
 *
 * @throws ConfigError
 */
export function regions<const J extends Jurisdictions = typeof BY_DEFAULT>(
  options: RegionsOptions<J> = {},
): Regions<J> {
  const checked = checkOptions<RegionsOptions<J>>('regions', options, {
    jurisdictions: AN_OBJECT,
    here: { expected: 'the name of a location', accepts: (value) => typeof value === 'string' },
  })
  const jurisdictions = (checked.jurisdictions ?? BY_DEFAULT) as unknown as J
  const table = compileJurisdictions(jurisdictions, 'regions.jurisdictions')
  const { here } = checked
  const issue = here === undefined ? undefined : issueOf('regions.here', here, aLocationOf(table))
  if (issue !== undefined) throw new ConfigError([issue])
  const made: Regions<J> = Object.freeze({
    jurisdictions,
    here,
    names: table.names,
    belonging({ id, countries }: { readonly id?: unknown; readonly countries?: unknown }) {
      const byId = table.locateId(id)
      const found = byId ?? table.locate(countries)
      if (found === undefined) return undefined
      return {
        jurisdiction: found.jurisdiction,
        by: byId === undefined ? 'country' : 'id',
      } as const
    },
    newPersonId<N extends NameOf<J>>(jurisdiction: N): PersonId<N> {
      if (table.locationsOf(jurisdiction) === undefined)
        throw new ConfigError('newPersonId jurisdiction', `one of ${table.names.join(', ')}`, jurisdiction)
      return `${jurisdiction}_${randomId()}`
    },
  })
  compiled.set(made, table)
  return made
}

/** The compiled form of a result of `regions()`; `undefined` for any other value. */
export function compiledRegions(made: unknown): CompiledJurisdictions | undefined {
  return typeof made === 'object' && made !== null ? compiled.get(made) : undefined
}

const AN_OBJECT: Expectation = {
  expected: 'an object',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}
