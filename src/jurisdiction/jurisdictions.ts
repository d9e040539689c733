import { ConfigError, wrongOption, type ConfigIssue } from '../errors.ts'
import { listHint, oneOf, readOptions, required, type Expectation, type Expectations } from '../options.ts'
import { A_DAY, endOf } from './day.ts'
import { COUNTRIES, EUROPE, UK_ADEQUACY } from './countries.ts'
import { guessCountry, isLocale, NO_CITIZENSHIP } from './country-guess.ts'
import { readPersonId } from './person-id.ts'

/** The locations that may handle the data of the citizens of some countries. */
export interface Jurisdiction {
  /** Names of locations, `[a-z0-9-]{1,64}`, at least one. A location belongs to only one jurisdiction. */
  readonly locations: readonly string[]
  /** ISO 3166-1 alpha-2 codes in upper case, at least one, or `*` for all countries that no other jurisdiction lists. */
  readonly countries: readonly string[] | '*'
  /**
   * The last day on which a location may be used, for example `{ london: '2031-12-27' }`, if data may be stored there only by
   * a decision that expires. A warning is printed 180 days before.
   */
  readonly until?: Readonly<Record<string, string>> | undefined
}

/** Jurisdictions by name. A person who belongs to several is assigned to the first one; one with `*` comes last. */
export type Jurisdictions = Readonly<Record<string, Jurisdiction>>

/** Europeans in London and Frankfurt, everyone else in Dallas. */
export const BY_DEFAULT = {
  europe: { locations: ['london', 'frankfurt'], countries: EUROPE, until: { london: UK_ADEQUACY.until } },
  world: { locations: ['dallas'], countries: '*' },
} as const satisfies Jurisdictions

/** The default jurisdictions, indexed by any string. */
export const DEFAULT_JURISDICTIONS: Jurisdictions = BY_DEFAULT

/** The jurisdiction of a person, and its locations. */
export interface Residence {
  readonly jurisdiction: string
  readonly locations: readonly string[]
}

export interface CompiledJurisdictions {
  /** The locations of all jurisdictions, in the order of the option. */
  readonly locations: readonly string[]
  /**
   * The residence of a person with these citizenships: one code in any case, or an array of codes. For several, returns the
   * most protective jurisdiction. `undefined` if one of them is not an assigned code, or if no jurisdiction has the country.
   */
  locate(countries: unknown): Residence | undefined
  /** The residence of the person with this identifier. `undefined` if it does not begin with the name of a jurisdiction. */
  locateId(id: unknown): Residence | undefined
  /** The names of the jurisdictions, the most protective one first. */
  readonly names: readonly string[]
  /**
   * The earliest time from which a location may no longer be used, in milliseconds since the epoch. `undefined` if none
   * expires.
   */
  readonly firstEnd: number | undefined
  jurisdictionOf(location: string): string | undefined
  locationsOf(jurisdiction: string): readonly string[] | undefined
}

const LIST: Expectation = {
  expected: 'a list of at least one entry',
  accepts: (value) => Array.isArray(value) && value.length > 0,
}

const EXPECTATIONS: Expectations<Jurisdiction> = {
  locations: required({ ...LIST, expected: 'a list of at least one location', hint: listHint }),
  countries: required({
    expected: 'a list of at least one country, or `*`',
    accepts: (value) => value === '*' || LIST.accepts(value),
    hint: listHint,
  }),
  until: {
    expected: 'an object that gives days to locations, `{ london: "2031-12-27" }`',
    accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  },
}

/** Names of only digits are refused, because JavaScript objects move such keys to the front, and the order matters. */
const JURISDICTION = /^(?![0-9]+$)[A-Za-z0-9_-]{1,64}$/
const A_NAME = 'named with 1-64 characters of A-Z a-z 0-9 _ -, and not only digits'

/** Whether a jurisdiction can have this name. */
export function isJurisdictionName(name: string): boolean {
  return JURISDICTION.test(name)
}

/** The state of reading the option, with the issues found so far. */
interface Reading {
  readonly issues: ConfigIssue[]
  readonly residences: Map<string, Residence>
  readonly byLocation: Map<string, string>
  readonly byCountry: Map<string, string>
  /** The jurisdiction that has all countries that no other lists. */
  rest: string | undefined
  readonly ends: number[]
}

/**
 * Checks jurisdictions and prepares their look-ups.
 *
 * @throws ConfigError with every issue below `name`.
 */
export function compileJurisdictions(option: unknown, name: string): CompiledJurisdictions {
  const isTable = typeof option === 'object' && option !== null && !Array.isArray(option)
  const entries = isTable ? Object.entries(option) : []
  if (entries.length === 0) {
    throw new ConfigError(name, 'an object that gives each jurisdiction by its name, at least one', option)
  }
  const reading: Reading = {
    issues: [],
    residences: new Map(),
    byLocation: new Map(),
    byCountry: new Map(),
    rest: undefined,
    ends: [],
  }
  for (const [jurisdiction, given] of entries) {
    readJurisdiction(reading, jurisdiction, `${name}.${jurisdiction}`, given)
  }
  reading.issues.push(...ambiguousNames(Object.keys(Object.fromEntries(entries)), name))
  const [first, ...more] = reading.issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return lookUps(reading)
}

function readJurisdiction(reading: Reading, jurisdiction: string, path: string, given: unknown): void {
  const { issues } = reading
  if (!JURISDICTION.test(jurisdiction)) issues.push(wrongOption(path, A_NAME, jurisdiction))
  const [wrong, own] = readOptions(path, given, EXPECTATIONS)
  issues.push(...wrong)
  if (wrong.length > 0) return
  const { locations, countries, until = {} } = own as unknown as Jurisdiction
  const kept = claim(issues, locations, `${path}.locations`, jurisdiction, reading.byLocation, A_LOCATION)
  reading.residences.set(jurisdiction, { jurisdiction, locations: kept })
  readEnds(reading, until, kept, `${path}.until`)
  if (countries !== '*') {
    claim(issues, countries, `${path}.countries`, jurisdiction, reading.byCountry, A_COUNTRY)
  } else if (reading.rest === undefined) reading.rest = jurisdiction
  else {
    const expected = `a list of country codes, because \`${reading.rest}\` already takes all the others`
    issues.push(wrongOption(`${path}.countries`, expected, countries))
  }
}

function readEnds(
  { issues, ends }: Reading,
  until: Readonly<Record<string, unknown>>,
  locations: readonly string[],
  path: string,
): void {
  for (const [location, day] of Object.entries(until)) {
    const option = `${path}.${location}`
    const end = A_DAY.accepts(day) ? endOf(String(day)) : undefined
    if (!locations.includes(location))
      issues.push(
        wrongOption(option, 'left out, because this jurisdiction has no location of that name', day),
      )
    else if (end === undefined) issues.push(wrongOption(option, A_DAY.expected, day))
    else ends.push(end)
  }
}

/** With `eu` and `eu_west`, the identifier `eu_west_1` could belong to either. */
function ambiguousNames(names: readonly string[], path: string): ConfigIssue[] {
  return names.flatMap((longer) => {
    const shorter = names.find((name) => longer.startsWith(`${name}_`))
    if (shorter === undefined) return []
    const expected = `named differently, because identifiers of people of \`${shorter}\` begin with \`${shorter}_\``
    return [wrongOption(`${path}.${longer}`, expected, longer)]
  })
}

function lookUps({ residences, byLocation, byCountry, rest, ends }: Reading): CompiledJurisdictions {
  const protective = [...residences.keys()].filter((jurisdiction) => jurisdiction !== rest)
  // Most callers pass one code in upper case.
  const byCode = new Map<unknown, Residence>()
  for (const code of COUNTRIES) {
    const residence = residences.get(byCountry.get(code) ?? rest ?? '')
    if (residence !== undefined) byCode.set(code, residence)
  }
  const names = new Set(residences.keys())
  return {
    locations: Object.freeze([...byLocation.keys()]),
    names: Object.freeze(rest === undefined ? protective : [...protective, rest]),
    firstEnd: ends.length === 0 ? undefined : Math.min(...ends),
    locateId: (id) => residences.get(readPersonId(id, names) ?? ''),
    locate(countries) {
      const usual = byCode.get(countries)
      if (usual !== undefined) return usual
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

/** The location of an instance: one of the locations of these jurisdictions. */
export function aLocationOf({ locations, locationsOf }: CompiledJurisdictions): Expectation {
  const oneOfThem = oneOf('a location of the jurisdictions', locations)
  return {
    ...oneOfThem,
    hint: (value) => {
      const own = typeof value === 'string' ? locationsOf(value) : undefined
      if (own === undefined) return oneOfThem.hint?.(value)
      return `; \`${String(value)}\` is a jurisdiction, whose locations are ${own.join(', ')}`
    },
  }
}

/**
 * Returns the code in upper case. The pattern is checked first, because `toUpperCase` turns `ß` into `SS` and the ligature
 * `ﬁ` into `FI`.
 */
function readCountry(code: unknown): string | undefined {
  if (typeof code !== 'string' || !/^[A-Za-z]{2}$/.test(code)) return undefined
  const country = code.toUpperCase()
  return COUNTRIES.has(country) ? country : undefined
}

const A_LOCATION: Expectation = {
  expected: 'a name of 1-64 characters of a-z 0-9 -',
  accepts: isLocation,
}

function isLocation(value: unknown): boolean {
  return typeof value === 'string' && /^[a-z0-9-]{1,64}$/.test(value)
}

const A_COUNTRY: Expectation = {
  expected: 'an assigned ISO 3166-1 alpha-2 code',
  accepts: (value) => typeof value === 'string' && COUNTRIES.has(value),
  hint: (value) => {
    if (value === '*') return "; write `'*'` in place of the list"
    if (isLocale(value)) return `; ${NO_CITIZENSHIP}`
    const code = guessCountry(value)
    return code === undefined ? undefined : `; did you mean \`${code}\`?`
  },
}

/**
 * Assigns members to a jurisdiction, and returns those that were assigned. A member that another jurisdiction has is an
 * issue.
 */
function claim(
  issues: ConfigIssue[],
  members: readonly string[],
  path: string,
  jurisdiction: string,
  owners: Map<string, string>,
  { expected, accepts, hint }: Expectation,
): readonly string[] {
  const claimed: string[] = []
  for (const [index, member] of members.entries()) {
    const owner = owners.get(member)
    if (!accepts(member)) issues.push(wrongOption(`${path}[${index}]`, expected, member, hint?.(member)))
    else if (owner === undefined) {
      owners.set(member, jurisdiction)
      claimed.push(member)
    } else {
      const expected = `left out, because \`${owner}\` already has it`
      issues.push(wrongOption(`${path}[${index}]`, expected, member))
    }
  }
  return Object.freeze(claimed)
}
