import { validateHeaderName, validateHeaderValue } from 'node:http'
import { ConfigError, type ConfigIssue } from '../errors.ts'
import { decideRegionPin, type RegionFacts, type RegionOutcome } from '../guards/region-pin.ts'
import { readUrl } from '../match/host.ts'
import { aFunction, checkOptions, issueOf, objectWith, required, type Expectation } from '../options.ts'
import {
  aLocationOf,
  compileJurisdictions,
  DEFAULT_JURISDICTIONS,
  type CompiledJurisdictions,
  type Jurisdictions,
} from '../jurisdiction/jurisdictions.ts'
import type { PersonHandle } from '../jurisdiction/person-handle.ts'
import { isProblem } from '../match/problem.ts'
import { isThenable } from '../thenable.ts'
import { askNow, askOption, OPTION_TIMEOUT, OptionFailure } from './request/ask-option.ts'
import { A_COUNTRY } from './request/country-option.ts'
import { clockOf } from './request/clock-option.ts'
import type { RequestContext } from './request/context.ts'
import type { RequestFacts } from './request/facts.ts'
import { wantsPage } from './request/wants-page.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { Callback, GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { mount } from './shell.ts'
import type { JudgedRequest } from './judged-request.ts'
import { adequacyWatch } from './adequacy-watch.ts'
import { noteUnknownCountry } from './nearest-entry.ts'
import type { Mount } from './step.ts'

export interface RegionPinOptions extends SharedOptions {
  /** The location where this instance runs, one of the jurisdictions' locations: `london`. */
  readonly here: string
  /**
   * Returns the identifier of the person, from the session or the path. If it begins with the name of a jurisdiction
   * (`europe_4f0c…`), the data belongs there, and `country` is not used. `undefined`: not known yet.
   */
  readonly personId?: Callback<[req: GuardRequest], unknown> | undefined
  /**
   * The citizenship of the person: one ISO 3166-1 alpha-2 code, or several; the first jurisdiction of the table that includes one
   * of them applies. It should come from the stored record of the person, never from an address or a header of the caller. A
   * function, which may return a promise; or `{ body: 'country' }`, a member of the body, for a sign-up form. Required without
   * `personId`.
   */
  readonly country?: Callback<[req: GuardRequest], unknown> | { readonly body: string } | undefined
  /** Which locations may handle the data of which citizens. Default: Europeans in London and Frankfurt, all others in Dallas. */
  readonly jurisdictions?: Jurisdictions | undefined
  /**
   * For `onMisdirected: "redirect"`: the base URL of each location, `{ frankfurt: 'https://fra.example.org' }`. Never take it from
   * a request.
   */
  readonly bases?: Readonly<Record<string, string>> | undefined
  /**
   * For `onMisdirected: "handOver"`: the headers with which the platform in front takes a request to a location, such as
   * `(location) => ({ 'fly-replay': 'region=lhr' })`.
   */
  readonly handOver?: ((location: string) => Readonly<Record<string, string>>) | undefined
  /** A `regionalStore`: handlers find the handle of the person's jurisdiction in `req.portcullis.region.store`. */
  readonly store?: HandlesByJurisdiction | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/** The part of a `regionalStore` that is used. */
export interface HandlesByJurisdiction {
  in(jurisdiction: string): PersonHandle
}

/** Marks a request that was redirected once. A caller who forges it gets a 421 in place of a redirect. */
const HOP = 'portcullis-hop'

const AN_OBJECT: Expectation = {
  expected: 'an object',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

/**
 * Admits requests that concern a person whose data may be handled at this location. Refuses others with `REGION_UNKNOWN` (403) or
 * `REGION_MISDIRECTED` (421; depending on the policy, a redirect to a configured base, or the headers of a hand-over).
 *
 * @throws ConfigError
 */
export function regionPin(options: RegionPinOptions): RequestHandler {
  const expectations = { ...SHARED_EXPECTATIONS, ...REGION_PIN_EXPECTATIONS }
  const settings = checkOptions<RegionPinOptions>('regionPin', options, expectations, undefined, (given) =>
    regionPinIssues(given, 'regionPin'),
  )
  return mount(regionPinMount(settings, 'regionPin'), settings)
}

/** @param name the name of the options in an error */
export function regionPinMount(options: RegionPinOptions, name: string): Mount<RegionFacts, RegionOutcome> {
  const { here, country, personId, handOver, store, optionTimeout = OPTION_TIMEOUT } = options
  const table = options.jurisdictions ?? DEFAULT_JURISDICTIONS
  const jurisdictions = compileJurisdictions(table, `${name}.jurisdictions`)
  const bases = parseBases(options.bases ?? {}, jurisdictions, `${name}.bases`)
  const checkAdequacy = adequacyWatch(jurisdictions, clockOf(options.now))
  checkAdequacy()
  const factsOf = (id: unknown, found: unknown): RegionFacts => ({ here, id, country: found, jurisdictions })
  const ask = (
    option: Callback<[req: GuardRequest], unknown> | undefined,
    what: string,
    req: GuardRequest,
  ): unknown => (option === undefined ? undefined : askOption(option, req, what, optionTimeout))
  /** Reads the country only if the identifier does not name the jurisdiction. */
  const withId = (id: unknown, { facts, req }: JudgedRequest): RegionFacts | Promise<RegionFacts> => {
    if (country === undefined || jurisdictions.locateId(id) !== undefined) return factsOf(id, undefined)
    if (typeof country !== 'function') return factsOf(id, memberOf(facts, country.body))
    const found = ask(country, 'country', req)
    return isThenable(found) ? withCountry(id, found) : factsOf(id, found)
  }
  const withCountry = (id: unknown, found: PromiseLike<unknown>): Promise<RegionFacts> =>
    Promise.resolve(found).then((code) => factsOf(id, code))
  const whenNamed = (id: PromiseLike<unknown>, request: JudgedRequest): Promise<RegionFacts> =>
    Promise.resolve(id).then((found) => withId(found, request))
  return {
    name: 'regionPin',
    guard: noting,
    blindToPreflight: true,
    facts: (request) => {
      checkAdequacy()
      const id = ask(personId, 'personId', request.req)
      return isThenable(id) ? whenNamed(id, request) : withId(id, request)
    },
    note: ({ outcome }, context) => {
      if (outcome === undefined) return
      const { jurisdiction, locations } = outcome
      context.region = { here, jurisdiction, locations, store: handleOf(store, jurisdiction) }
    },
    write: ({ decision, outcome }, context, res) =>
      decision.code === 'REGION_MISDIRECTED' &&
      outcome !== undefined &&
      sendElsewhere(outcome, { bases, handOver }, context, res),
    explain: ({ decision, outcome }) => {
      const base = outcome === undefined ? undefined : baseOf(outcome, bases)
      return decision.code === 'REGION_MISDIRECTED' && base !== undefined ? { base } : undefined
    },
  }
}

/** Keeps a country that cannot be read, for the refusal line. */
const noting: typeof decideRegionPin = (policy, facts) => {
  const judgement = decideRegionPin(policy, facts)
  noteUnknownCountry(judgement.decision, facts.country)
  return judgement
}

/** The issues of combined options: neither `personId` nor `country`, or a location that does not exist. */
export function regionPinIssues(options: object, name: string): ConfigIssue[] {
  const { personId, country, here, jurisdictions } = options as Partial<RegionPinOptions>
  const needsCountry = personId === undefined && country === undefined
  const issues = needsCountry ? [issueOf(`${name}.country`, country, required(A_COUNTRY))] : []
  const table = jurisdictions ?? DEFAULT_JURISDICTIONS
  if (typeof here === 'string' && AN_OBJECT.accepts(table)) {
    try {
      const compiled = compileJurisdictions(table, `${name}.jurisdictions`)
      issues.push(issueOf(`${name}.here`, here, aLocationOf(compiled)))
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      issues.push(...error.issues)
    }
  }
  return issues.filter((issue) => issue !== undefined)
}

/** `undefined` if the process has no clients for the jurisdiction, because other processes serve its requests. */
function handleOf(store: HandlesByJurisdiction | undefined, jurisdiction: string): PersonHandle | undefined {
  try {
    return store?.in(jurisdiction)
  } catch {
    return undefined
  }
}

/** The base URL for a misdirected request: that of the first location of the jurisdiction that has one. */
function baseOf({ locations }: RegionOutcome, bases: ReadonlyMap<string, string>): string | undefined {
  return locations.map((name) => bases.get(name)).find((url) => url !== undefined)
}

/** A member that cannot be read counts as no country. */
function memberOf(facts: RequestFacts, body: string): unknown {
  const reading = facts.parameter({ body })
  return isProblem(reading) ? undefined : reading.value
}

/** How a request gets to another location. */
interface Ways {
  readonly bases: ReadonlyMap<string, string>
  readonly handOver: RegionPinOptions['handOver']
}

/** Does what the policy demands in place of a 421. Returns whether it has responded. */
function sendElsewhere(
  outcome: RegionOutcome,
  { bases, handOver }: Ways,
  context: RequestContext,
  res: GuardResponse,
): boolean {
  const { onMisdirected, locations } = outcome
  const [location] = locations
  if (onMisdirected === 'handOver' && handOver !== undefined && location !== undefined) {
    writeHandOver(handOver, location, res)
    return false
  }
  if (onMisdirected !== 'redirect') return false
  const base = baseOf(outcome, bases)
  const { target } = context.facts
  if (base === undefined || !wantsPage(context.facts)) return false
  // After a `#`, which browsers do not send, the hop mark would be lost.
  if (!target.startsWith('/') || target.includes('#') || hasHop(target)) return false
  // 307 keeps method and content. Unlike 308, it is not cached, because a person may move.
  res.statusCode = 307
  res.setHeader('Location', `${base}${target}${target.includes('?') ? '&' : '?'}${HOP}=1`)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Request-Id', context.requestId)
  res.setHeader('Content-Length', '0')
  res.end()
  return true
}

/** Adds the headers of a hand-over to the refusal, which is otherwise an ordinary 421. */
function writeHandOver(
  handOver: NonNullable<RegionPinOptions['handOver']>,
  location: string,
  res: GuardResponse,
): void {
  const given: unknown = askNow(handOver, 'handOver', location)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new OptionFailure('handOver', new TypeError('it did not return an object of headers'))
  }
  const headers = Object.entries(given) as [string, string][]
  try {
    for (const [name, value] of headers) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    }
  } catch (error) {
    throw new OptionFailure('handOver', error)
  }
  for (const [name, value] of headers) res.setHeader(name, value)
}

function hasHop(target: string): boolean {
  const start = target.indexOf('?')
  return start !== -1 && new URLSearchParams(target.slice(start + 1)).has(HOP)
}

function parseBases(
  bases: Readonly<Record<string, string>>,
  jurisdictions: CompiledJurisdictions,
  name: string,
): Map<string, string> {
  const parsed = new Map<string, string>()
  for (const [location, base] of Object.entries(bases)) {
    if (jurisdictions.jurisdictionOf(location) === undefined) {
      throw new ConfigError(
        `${name}.${location}`,
        'left out, because no jurisdiction has this location',
        base,
      )
    }
    const url = typeof base === 'string' ? readUrl(base) : undefined
    if (url === undefined || url.protocol !== 'https:' || url.origin !== base) {
      throw new ConfigError(`${name}.${location}`, 'an https origin like `https://fra.example.org`', base)
    }
    parsed.set(location, url.origin)
  }
  return parsed
}

export const REGION_PIN_EXPECTATIONS = {
  here: required({
    expected: 'the name of a location',
    accepts: (value) => typeof value === 'string',
    hint: (value) =>
      typeof value === 'function' ? '; it is the same for every request: give the name itself' : undefined,
  }),
  personId: aFunction,
  country: A_COUNTRY,
  jurisdictions: AN_OBJECT,
  bases: AN_OBJECT,
  handOver: aFunction,
  store: objectWith('a `regionalStore`', 'in'),
  now: aFunction,
} satisfies Expectations<RegionPinOptions>

export const describedRegionPin: DescribedQuestion = ({
  here,
  personId,
  country,
  jurisdictions: given = DEFAULT_JURISDICTIONS,
}) => {
  if (here === undefined) return undefined
  const jurisdictions = compileJurisdictions(given, 'explain.jurisdictions')
  return {
    name: 'regionPin',
    guard: decideRegionPin,
    facts: () => ({ here, id: personId, country, jurisdictions }),
  }
}
