import { ConfigError } from '../errors.ts'
import { checkOptions, required, type Expectation } from '../options.ts'
import { COUNTRIES, EUROPE } from './countries.ts'

/** Where the data of which citizens may be handled. */
export interface Jurisdiction {
  /** Names of locations, `[a-z0-9-]{1,64}`, at least one. A location belongs to one jurisdiction. */
  readonly locations: readonly string[]
  /** ISO 3166-1 alpha-2 codes in capitals, at least one, or `*` for all that no other jurisdiction names. */
  readonly countries: readonly string[] | '*'
}

/** Name to jurisdiction. Of several that a person belongs to the first named one counts, and `*` last. */
export type Jurisdictions = Readonly<Record<string, Jurisdiction>>

/** Europeans in London and Frankfurt, all others in Dallas. */
export const DEFAULT_JURISDICTIONS: Jurisdictions = {
  europe: { locations: ['london', 'frankfurt'], countries: EUROPE },
  world: { locations: ['dallas'], countries: '*' },
}

/** Where a person's data belongs. */
export interface Residence {
  readonly jurisdiction: string
  readonly locations: readonly string[]
}

export interface CompiledJurisdictions {
  /**
   * Where a person with these citizenships belongs: one code, in any case, or an array of codes, of which the most
   * protective counts. `undefined`: not known, because something else was given than assigned codes, or no
   * jurisdiction takes the country.
   */
  locate(countries: unknown): Residence | undefined
  jurisdictionOf(location: string): string | undefined
  locationsOf(jurisdiction: string): readonly string[] | undefined
}

const LIST: Expectation = {
  expected: 'a list of at least one entry',
  accepts: (value) => Array.isArray(value) && value.length > 0,
}

const EXPECTATIONS = {
  locations: required(LIST),
  countries: required({
    expected: 'a list of at least one country, or `*`',
    accepts: (value) => value === '*' || LIST.accepts(value),
  }),
}

/** Not of digits alone: an object moves such names to the front, and the order counts. */
const JURISDICTION = /^(?![0-9]+$)[A-Za-z0-9_-]{1,64}$/

/**
 * Checks jurisdictions and makes their look-ups.
 *
 * @throws ConfigError naming what is wrong below `name`.
 */
export function compileJurisdictions(option: unknown, name: string): CompiledJurisdictions {
  if (typeof option !== 'object' || option === null || Array.isArray(option)) {
    throw new ConfigError(name, 'an object from names to jurisdictions', option)
  }
  const byCountry = new Map<string, string>()
  const byLocation = new Map<string, string>()
  const residences = new Map<string, Residence>()
  let rest: string | undefined
  for (const [jurisdiction, given] of Object.entries(option)) {
    const path = `${name}.${jurisdiction}`
    if (!JURISDICTION.test(jurisdiction)) {
      throw new ConfigError(path, 'named with 1-64 of A-Z a-z 0-9 _ -, not digits alone', jurisdiction)
    }
    checkOptions(path, given, EXPECTATIONS)
    const { locations, countries } = given as Jurisdiction
    residences.set(jurisdiction, {
      jurisdiction,
      locations: claim(locations, `${path}.locations`, jurisdiction, byLocation, A_LOCATION),
    })
    if (countries !== '*') claim(countries, `${path}.countries`, jurisdiction, byCountry, A_COUNTRY)
    else if (rest === undefined) rest = jurisdiction
    else {
      const expected = `a list of codes: \`${rest}\` has all the others already`
      throw new ConfigError(`${path}.countries`, expected, countries)
    }
  }
  if (residences.size === 0) throw new ConfigError(name, 'an object of at least one jurisdiction', option)
  const protective = [...residences.keys()].filter((jurisdiction) => jurisdiction !== rest)

  return {
    locate(countries) {
      const codes: readonly unknown[] = Array.isArray(countries) ? countries : [countries]
      if (codes.length === 0) return undefined
      const named = new Set<string | undefined>()
      for (const code of codes) {
        const country = readCountry(code)
        if (country === undefined) return undefined
        named.add(byCountry.get(country))
      }
      const jurisdiction = protective.find((candidate) => named.has(candidate)) ?? rest
      return jurisdiction === undefined ? undefined : residences.get(jurisdiction)
    },
    jurisdictionOf: (location) => byLocation.get(location),
    locationsOf: (jurisdiction) => residences.get(jurisdiction)?.locations,
  }
}

/** The code in capitals. The form comes first: `toUpperCase` makes `SS` of `ß` and `FI` of the ligature `ﬁ`. */
function readCountry(code: unknown): string | undefined {
  if (typeof code !== 'string' || !/^[A-Za-z]{2}$/.test(code)) return undefined
  const country = code.toUpperCase()
  return COUNTRIES.has(country) ? country : undefined
}

const A_LOCATION: Expectation = {
  expected: 'a name of 1-64 of a-z 0-9 -',
  accepts: (value) => typeof value === 'string' && /^[a-z0-9-]{1,64}$/.test(value),
}

const A_COUNTRY: Expectation = {
  expected: 'an assigned ISO 3166-1 alpha-2 code',
  accepts: (value) => typeof value === 'string' && COUNTRIES.has(value),
}

/** Enters each member for one jurisdiction; a member that is entered already is refused. Gives a copy that stays as it is. */
function claim(
  members: readonly string[],
  path: string,
  jurisdiction: string,
  owners: Map<string, string>,
  { expected, accepts }: Expectation,
): readonly string[] {
  const claimed: string[] = []
  for (const [index, member] of members.entries()) {
    if (!accepts(member)) throw new ConfigError(`${path}[${index}]`, expected, member)
    const owner = owners.get(member)
    if (owner !== undefined) {
      throw new ConfigError(`${path}[${index}]`, `left out: \`${owner}\` has it already`, member)
    }
    owners.set(member, jurisdiction)
    claimed.push(member)
  }
  return Object.freeze(claimed)
}
