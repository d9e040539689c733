import type { Expectation } from '../../options.ts'
import { parseOrigin, parseOriginEntry } from '../../match/origin.ts'
import { isProblem } from '../../match/problem.ts'
import type { SignedMessage } from '../../signature/verify.ts'
import type { Callback, GuardRequest } from '../handler.ts'
import { printable } from '../printable.ts'
import { askNow, OptionFailure } from './ask-option.ts'

/**
 * Where callers reach this service, as an origin: `https://gateway.example`.
 *
 * - A string is the authority of every request, whatever its `Host`: for a proxy that changes the `Host`.
 * - In a list, one of the origins must have the `Host` of the request.
 * - A function returns it for each request, from a source that callers cannot write; `undefined` refuses the request. Any other result
 *   that is not an origin is a failure of the option.
 */
export type AuthorityOption = string | readonly string[] | Callback<[req: GuardRequest], string | undefined>

export const AN_AUTHORITY: Expectation = {
  expected: 'an origin like `https://gateway.example`, a list of them with different hosts, or a function',
  accepts: (value) =>
    typeof value === 'function' ||
    readOrigin(value) !== undefined ||
    (Array.isArray(value) && value.length > 0 && haveDifferentHosts(value)),
  hint: originHint,
}

/** The hint for an origin in another form, or for a list of them. */
export function originHint(value: unknown): string | undefined {
  const written: readonly unknown[] = Array.isArray(value) ? value : [value]
  const origins = written.map(nearestOrigin)
  if (origins.length === 0 || origins.includes(undefined)) return undefined
  const texts = origins.map((origin) => `'${origin}'`)
  if (new Set(texts).size < texts.length) return '; two of them have the same host'
  return Array.isArray(value) ? `; write \`[${texts.join(', ')}]\`` : `; write \`${texts[0]}\``
}

function nearestOrigin(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const entry = parseOriginEntry(value)
  const origin = isProblem(entry) ? entry.corrected : entry.text
  return readOrigin(origin) === undefined ? undefined : origin
}

/** The beginning of every path that callers use and that a proxy strips: `/api`. */
export const A_PATH_PREFIX: Expectation = {
  expected: 'a path like `/api`: segments of plain ASCII characters, without a trailing slash',
  accepts: isPathPrefix,
  hint: (value) => (value === '' || value === '/' ? '; omit it if the proxy strips nothing' : undefined),
}

function isPathPrefix(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    /^(?:\/[a-zA-Z0-9._~!$&'()*+,;=:@%-]+)+$/.test(value) &&
    !/\/(?:\.{1,2}|\*)(?:\/|$)/.test(value) &&
    !/%(?![0-9a-fA-F]{2})/.test(value)
  )
}

/** Where callers reach this service. */
export type Place = Pick<SignedMessage, 'authority' | 'authorityProblem' | 'scheme'> & {
  /** The prefix that a proxy stripped from the path. */
  readonly prefix?: string | undefined
}

/** Returns what replaces the received `Host`; a place without authority if the request cannot be meant for this service. */
export type PlaceReader = (host: string, req: GuardRequest) => Place

/** Compiles the options `authority` and `pathPrefix`; `undefined` if the received `Host` is trusted. */
export function compilePlace(
  option: AuthorityOption | undefined,
  prefix: string | undefined,
): PlaceReader | undefined {
  const placeOf = compileAuthority(option)
  if (prefix === undefined) return placeOf
  if (placeOf === undefined) return (host) => ({ authority: host, prefix })
  return (host, req) => ({ ...placeOf(host, req), prefix })
}

/** Compiles the option `authority`; `undefined` if the received `Host` is trusted. */
export function compileAuthority(option: AuthorityOption | undefined): PlaceReader | undefined {
  if (option === undefined) return undefined
  if (typeof option === 'function') return (_host, req) => returned(askNow(option, 'authority', req))
  if (typeof option === 'string') {
    const place = readOrigin(option) as Place
    return () => place
  }
  const places = option.map((origin) => readOrigin(origin) as Place)
  return (host) => places.find((place) => isHostOf(host.toLowerCase(), place)) ?? unlisted(host)
}

/** @throws OptionFailure if the result is neither an origin nor `undefined` */
function returned(value: unknown): Place {
  if (value === undefined) return NOWHERE
  const place = readOrigin(value)
  if (place !== undefined) return place
  const given = typeof value === 'string' ? `\`${printable(value, 200)}\`` : `a value of type ${typeof value}`
  const problem = `it returned ${given}, which is not an origin such as \`https://gateway.example\``
  throw new OptionFailure('authority', new TypeError(problem + (originHint(value) ?? '')))
}

const NOWHERE: Place = {
  authority: undefined,
  authorityProblem: 'the `authority` option returned undefined for this request',
}

function unlisted(host: string): Place {
  const problem = `\`Host\` is \`${printable(host, 200)}\`, which the origins in \`authority\` do not include`
  return { authority: undefined, authorityProblem: problem }
}

/** A host may name the default port. */
function isHostOf(host: string, { authority, scheme }: Place): boolean {
  return host === authority || host === `${authority}:${scheme === 'https' ? 443 : 80}`
}

function readOrigin(value: unknown): Place | undefined {
  if (typeof value !== 'string' || parseOrigin(value) !== value) return undefined
  const [, scheme, authority] = /^(https?):\/\/(.+)$/.exec(value) ?? []
  return scheme === undefined ? undefined : { scheme: scheme as 'http' | 'https', authority }
}

function haveDifferentHosts(values: readonly unknown[]): boolean {
  const places = values.map(readOrigin)
  const hosts = new Set(places.map((place) => place?.authority))
  return hosts.size === values.length && !hosts.has(undefined)
}
