import type { Decision } from '../decision.ts'
import { ConfigError } from '../errors.ts'
import { decideRegionPin } from '../guards/region-pin.ts'
import { readUrl } from '../match/host.ts'
import { aFunction, checkOptions, required, type Expectation } from '../options.ts'
import {
  compileJurisdictions,
  DEFAULT_JURISDICTIONS,
  type CompiledJurisdictions,
  type Jurisdictions,
} from '../jurisdiction/jurisdictions.ts'
import type { RequestContext } from './request/context.ts'
import type { Callback, GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
import { mount, SHARED_EXPECTATIONS, type SharedOptions } from './shell.ts'

export interface RegionPinOptions extends SharedOptions {
  /** The location where this instance runs, one of the jurisdictions' locations: `london`. */
  readonly here: string
  /**
   * The citizenship of the person: one ISO 3166-1 alpha-2 code, or several, of which the most protective counts. It should
   * come from what is stored of the person, never from an address or a header of the caller.
   */
  readonly country: Callback<[req: GuardRequest], unknown>
  /** Which locations may handle the data of which citizens. Default: Europeans in London and Frankfurt, all others in Dallas. */
  readonly jurisdictions?: Jurisdictions | undefined
  /** For `onMisdirected: "redirect"`: location to base URL, `{ frankfurt: 'https://fra.example.org' }`. Never from a request. */
  readonly bases?: Readonly<Record<string, string>> | undefined
  /**
   * For `onMisdirected: "handOver"`: the headers with which the platform in front takes a request to a location, such as
   * `(location) => ({ 'fly-replay': 'region=lhr' })`.
   */
  readonly handOver?: ((location: string) => Readonly<Record<string, string>>) | undefined
}

/** Marks a request that was redirected once. Whoever forges it gains a 421 in place of a redirect. */
const HOP = 'portcullis-hop'

const AN_OBJECT: Expectation = {
  expected: 'an object',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

/**
 * Admits requests that concern a person whose data may be handled at this location; answers `REGION_MISDIRECTED` (421, or
 * as the policy says a redirect to a configured base or a hand-over) or `REGION_UNKNOWN` (403) otherwise.
 *
 * @throws ConfigError
 */
export function regionPin(options: RegionPinOptions): RequestHandler {
  checkOptions('regionPin', options, {
    ...SHARED_EXPECTATIONS,
    here: required({ expected: 'the name of a location', accepts: (value) => typeof value === 'string' }),
    country: required(aFunction),
    jurisdictions: AN_OBJECT,
    bases: AN_OBJECT,
    handOver: aFunction,
  })
  const { here } = options
  const jurisdictions = compileJurisdictions(
    options.jurisdictions ?? DEFAULT_JURISDICTIONS,
    'regionPin.jurisdictions',
  )
  if (jurisdictions.jurisdictionOf(here) === undefined) {
    throw new ConfigError('regionPin.here', 'a location of one of the jurisdictions', here)
  }
  const bases = parseBases(options.bases ?? {}, jurisdictions)
  return mount(
    {
      name: 'regionPin',
      guard: decideRegionPin,
      blindToPreflight: true,
      facts: (_context, _app, req) => ({ here, country: readCountry(options, req), jurisdictions }),
      note: (decision, context) => {
        const { jurisdiction } = decision.evidence
        const locations =
          typeof jurisdiction === 'string' ? jurisdictions.locationsOf(jurisdiction) : undefined
        if (typeof jurisdiction === 'string' && locations !== undefined)
          context.region = { here, jurisdiction, locations }
      },
      write: (decision, context, _req, res) => sendElsewhere(decision, context, res),
    },
    options,
  )

  /** What the policy wants in place of a 421. True when it was done. */
  function sendElsewhere(decision: Decision, context: RequestContext, res: GuardResponse): boolean {
    if (decision.code !== 'REGION_MISDIRECTED') return false
    const { onMisdirected } = decision.evidence
    const locations = context.region?.locations ?? []
    if (onMisdirected === 'handOver' && options.handOver !== undefined && locations[0] !== undefined) {
      for (const [name, value] of Object.entries(options.handOver(locations[0]))) res.setHeader(name, value)
      return false
    }
    if (onMisdirected !== 'redirect') return false
    const base = locations.map((location) => bases.get(location)).find((url) => url !== undefined)
    const { target } = context.facts
    if (base === undefined || !target.startsWith('/') || hasHop(target)) return false
    // 307 keeps method and content and, unlike 308, is not remembered when the person moves.
    res.statusCode = 307
    res.setHeader('Location', `${base}${target}${target.includes('?') ? '&' : '?'}${HOP}=1`)
    res.setHeader('Cache-Control', 'no-store')
    res.setHeader('X-Request-Id', context.requestId)
    res.setHeader('Content-Length', '0')
    res.end()
    return true
  }
}

function hasHop(target: string): boolean {
  const start = target.indexOf('?')
  return start !== -1 && new URLSearchParams(target.slice(start + 1)).has(HOP)
}

/** An option that throws has found no country. */
function readCountry(options: RegionPinOptions, req: GuardRequest): unknown {
  try {
    return options.country(req)
  } catch {
    return undefined
  }
}

function parseBases(
  bases: Readonly<Record<string, string>>,
  jurisdictions: CompiledJurisdictions,
): Map<string, string> {
  const parsed = new Map<string, string>()
  for (const [location, base] of Object.entries(bases)) {
    if (jurisdictions.jurisdictionOf(location) === undefined) {
      throw new ConfigError(
        `regionPin.bases.${location}`,
        'left out: it is no location of the jurisdictions',
        base,
      )
    }
    const url = typeof base === 'string' ? readUrl(base) : undefined
    if (url === undefined || url.protocol !== 'https:' || url.origin !== base) {
      throw new ConfigError(
        `regionPin.bases.${location}`,
        'an https origin like `https://fra.example.org`',
        base,
      )
    }
    parsed.set(location, url.origin)
  }
  return parsed
}
