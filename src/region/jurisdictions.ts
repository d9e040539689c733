import { ConfigError } from '../errors.ts'
import { COUNTRIES, EUROPE } from './countries.ts'

/** Where the data of which citizens may be handled. */
export interface Jurisdiction {
  /** Names of locations, `[a-z0-9-]{1,64}`. A location belongs to one jurisdiction. */
  readonly locations: readonly string[]
  /** ISO 3166-1 alpha-2 codes, or `*` for all that no other jurisdiction names. */
  readonly countries: readonly string[] | '*'
}

/** Name to jurisdiction. Of several that a person belongs to the first named one counts, and `*` last. */
export type Jurisdictions = Readonly<Record<string, Jurisdiction>>

/** Europeans in London and Frankfurt, all others in Dallas. */
export const DEFAULT_JURISDICTIONS: Jurisdictions = {
  europe: { locations: ['london', 'frankfurt'], countries: EUROPE },
  world: { locations: ['dallas'], countries: '*' },
}

export interface CompiledJurisdictions {
  /**
   * Where a person with these citizenships belongs: one code or several, of which the most protective counts.
   * `undefined`: not known, because something else was given than assigned codes.
   */
  locate(
    countries: unknown,
  ): { readonly jurisdiction: string; readonly locations: readonly string[] } | undefined
  jurisdictionOf(location: string): string | undefined
  locationsOf(jurisdiction: string): readonly string[] | undefined
}

const NAME = /^[a-z0-9-]{1,64}$/

/**
 * Checks jurisdictions and makes their look-ups.
 *
 * @throws ConfigError naming what is wrong below `name`.
 */
export function compileJurisdictions(option: unknown, name: string): CompiledJurisdictions {
  if (!isObject(option)) throw new ConfigError(name, 'an object from names to jurisdictions', option)
  const byCountry = new Map<string, string>()
  const byLocation = new Map<string, string>()
  const locations = new Map<string, readonly string[]>()
  let rest: string | undefined
  for (const [jurisdiction, given] of Object.entries(option)) {
    const path = `${name}.${jurisdiction}`
    if (!isObject(given)) throw new ConfigError(path, 'an object with `locations` and `countries`', given)
    locations.set(
      jurisdiction,
      claim(given['locations'], `${path}.locations`, jurisdiction, byLocation, isLocation, LOCATION),
    )
    const countries = given['countries']
    if (countries !== '*') {
      claim(
        countries,
        `${path}.countries`,
        jurisdiction,
        byCountry,
        isCountry,
        'an assigned ISO 3166-1 alpha-2 code',
      )
    } else if (rest === undefined) rest = jurisdiction
    else
      throw new ConfigError(
        `${path}.countries`,
        `a list of codes: \`${rest}\` has all the others already`,
        countries,
      )
  }
  const order = [...locations.keys()].filter((jurisdiction) => jurisdiction !== rest)

  function locate(countries: unknown): { jurisdiction: string; locations: readonly string[] } | undefined {
    const codes: unknown[] = Array.isArray(countries) ? countries : [countries]
    const named = new Set<string | undefined>()
    for (const code of codes) {
      const country = typeof code === 'string' ? code.toUpperCase() : undefined
      if (country === undefined || !COUNTRIES.has(country)) return undefined
      named.add(byCountry.get(country))
    }
    if (codes.length === 0) return undefined
    const jurisdiction = order.find((candidate) => named.has(candidate)) ?? rest
    return jurisdiction === undefined
      ? undefined
      : { jurisdiction, locations: locations.get(jurisdiction) ?? [] }
  }

  return {
    locate,
    jurisdictionOf: (location) => byLocation.get(location),
    locationsOf: (jurisdiction) => locations.get(jurisdiction),
  }
}

const LOCATION = 'a name of a-z 0-9 -'
const isLocation = (value: unknown): value is string => typeof value === 'string' && NAME.test(value)
const isCountry = (value: unknown): value is string => typeof value === 'string' && COUNTRIES.has(value)

/** Enters each member for one jurisdiction; a member that another has is refused. */
function claim(
  members: unknown,
  path: string,
  jurisdiction: string,
  owners: Map<string, string>,
  accepts: (value: unknown) => value is string,
  expected: string,
): readonly string[] {
  if (!Array.isArray(members) || members.length === 0)
    throw new ConfigError(path, `a list of at least one entry`, members)
  return members.map((member: unknown, index) => {
    if (!accepts(member)) throw new ConfigError(`${path}[${index}]`, expected, member)
    const owner = owners.get(member)
    if (owner !== undefined)
      throw new ConfigError(`${path}[${index}]`, `left out: \`${owner}\` has it already`, member)
    owners.set(member, jurisdiction)
    return member
  })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
