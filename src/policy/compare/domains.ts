import type { OriginEntry } from '../../match/origin.ts'
import { DEFAULT_METHODS, type CorsSettings } from '../cors.ts'
import type { ListsOf } from '../section.ts'
import type { DomainProtection } from '../sections/domain-protect.ts'
import { SOME_URL, type WrittenRequest } from '../written-request.ts'
import { domainsOf, originInBoth, originOutside, strangerTo, type Domains } from './origins.ts'
import { letsAllPass, type Gain, type SectionComparison, type Side } from './side.ts'

type Lists = ListsOf<'domains', OriginEntry>
type DomainSide = Side<DomainProtection, Lists>

/**
 * Compares which servers pass, which origins pass, and with which methods. If both sections enforce, also compares what CORS
 * grants to the pages of an origin that both admit. In the other modes, the guard grants nothing and leaves CORS to the
 * server.
 */
export const COMPARE_DOMAINS: SectionComparison<DomainProtection, Lists> = {
  members: {
    mode: 'passes',
    domains: 'passes',
    server: 'passes',
    methods: 'passes',
    headers: 'grants',
    exposedHeaders: 'grants',
    credentials: 'grants',
    maxAge: 'grants',
  },
  *gains(from, to) {
    const [before, after] = [from.section, to.section]
    if (after === undefined || (before !== undefined && letsAllPass(before))) return undefined
    const [had, has] = [domainsOfSide(from), domainsOfSide(to)]
    const server = gainOfServers(from, to)
    if (server !== undefined) return server
    if (letsAllPass(after)) return { member: 'mode', ...namingOrigin(strangerTo(had), 'GET') }
    const origin = yield* originOutside(had, has)
    if (origin !== undefined) {
      return { member: before === undefined ? '' : 'domains', ...namingOrigin(origin, methodOf(after)) }
    }
    const common = yield* originInBoth(had, has)
    if (before === undefined || common === undefined) return undefined
    return (
      gainOfClaims(from, to, common) ?? gainOfMethods(before, after, common) ?? grantOf(before, after, common)
    )
  },
}

function domainsOfSide({ section, lists }: DomainSide): Domains {
  return domainsOf(section === undefined ? [] : lists.domains.entries)
}

/** What a server must show. `nobody`: a signature that no `serverOnly` checks, so no server passes. */
type Asked = 'nobody' | 'claim' | 'nothing'

function askedOfServers({ section, serverOnlyEnforces }: DomainSide): Asked {
  if (section === undefined) return 'nobody'
  if (letsAllPass(section)) return 'nothing'
  // The guard lets the request pass, because `serverOnly` in the same chain judges it.
  if (section.server === 'signed') return serverOnlyEnforces ? 'nothing' : 'nobody'
  return section.server === 'none' ? 'nothing' : 'claim'
}

function gainOfServers(from: DomainSide, to: DomainSide): Gain | undefined {
  if (askedOfServers(to) !== 'nothing' || askedOfServers(from) === 'nothing') return undefined
  const signed = to.section?.mode === 'enforce' && to.section.server === 'signed'
  const member = from.section === undefined ? '' : from.section.mode === to.section?.mode ? 'server' : 'mode'
  const request: WrittenRequest = signed ? { url: SOME_URL, signature: {} } : { url: SOME_URL }
  return { member, request, subject: 'a server request without an origin' }
}

/** Both policies admit the origin, so they differ only if one lets a server claim it. */
function gainOfClaims(from: DomainSide, to: DomainSide, origin: string): Gain | undefined {
  if (askedOfServers(from) !== 'nobody' || askedOfServers(to) === 'nobody') return undefined
  const request = { url: SOME_URL, headers: { 'x-origin': origin } }
  return { member: 'server', request, subject: `a server request that claims ${origin}` }
}

/** The URL of a server with another origin, so that the request is cross-origin. */
function urlBeside(origin: string): string {
  return origin === new URL(SOME_URL).origin ? 'https://server.example/' : SOME_URL
}

function namingOrigin(
  origin: string,
  method: string | undefined,
): { readonly request: WrittenRequest; readonly subject: string } {
  if (method === undefined)
    return { request: preflight(origin, 'GET'), subject: `a preflight from ${origin}` }
  const request = { url: urlBeside(origin), headers: { origin }, ...(method !== 'GET' && { method }) }
  return { request, subject: method === 'GET' ? origin : `${method} of ${origin}` }
}

function preflight(origin: string, method: string, headers?: string): WrittenRequest {
  return {
    method: 'OPTIONS',
    url: urlBeside(origin),
    headers: {
      origin,
      'access-control-request-method': method,
      ...(headers !== undefined && { 'access-control-request-headers': headers }),
    },
  }
}

/** A method that pages may use across origins. `undefined`: only preflights pass. */
function methodOf({ methods }: CorsSettings): string | undefined {
  return methods === undefined || methods.includes('GET') ? 'GET' : methods[0]
}

/** Like the guard. */
function admitsMethod(methods: readonly string[] | undefined, method: string): boolean {
  if (methods === undefined || methods.includes(method)) return true
  return (method === 'HEAD' || method === 'CONNECT') && methods.includes('GET')
}

function gainOfMethods(from: CorsSettings, to: CorsSettings, origin: string): Gain | undefined {
  if (from.methods === undefined) return undefined
  const candidates = to.methods ?? allMethods(from.methods.length)
  const method = candidates.find((one) => !admitsMethod(from.methods, one))
  return method === undefined ? undefined : { member: 'methods', ...namingOrigin(origin, method) }
}

/** More methods than a list of this length can contain. */
function allMethods(entries: number): string[] {
  const others = Array.from(
    { length: entries + 2 },
    (_, index) => `X-${'X'.repeat(index % 30)}${letter(index)}`,
  )
  return [...DEFAULT_METHODS, ...others]
}

function letter(index: number): string {
  return String.fromCharCode(65 + (index % 26))
}

/** How long browsers cache the answer to a preflight without `Access-Control-Max-Age`, in seconds (Fetch 4.8). */
const USUAL_MAX_AGE = 5

/** What CORS grants in addition to the pages of an origin that both policies admit. */
function grantOf(from: CorsSettings, to: CorsSettings, origin: string): Gain | undefined {
  const subject = `pages of ${origin}`
  const plain = namingOrigin(origin, 'GET').request
  if (to.credentials === true && from.credentials !== true) {
    return {
      member: 'credentials',
      request: plain,
      subject,
      grant: 'read responses to requests with cookies',
    }
  }
  const method = missingIn(from.methods ?? DEFAULT_METHODS, to.methods ?? DEFAULT_METHODS)
  if (method !== undefined) {
    return {
      member: 'methods',
      request: preflight(origin, method),
      subject,
      grant: `use ${method} after a preflight`,
    }
  }
  const header =
    from.headers === undefined
      ? undefined
      : missingIn(from.headers, to.headers ?? allHeaders(from.headers.length))
  if (header !== undefined) {
    const request = preflight(origin, 'GET', header)
    return { member: 'headers', request, subject, grant: `set the request header \`${header}\`` }
  }
  const exposed = missingIn(from.exposedHeaders ?? [], to.exposedHeaders ?? [])
  if (exposed !== undefined) {
    return {
      member: 'exposedHeaders',
      request: plain,
      subject,
      grant: `read the response header \`${exposed}\``,
    }
  }
  const age = to.maxAge ?? USUAL_MAX_AGE
  if (age <= (from.maxAge ?? USUAL_MAX_AGE)) return undefined
  const grant = `cache the answer to a preflight for ${age} s`
  return { member: 'maxAge', request: preflight(origin, 'GET'), subject, grant }
}

function missingIn(had: readonly string[], has: readonly string[]): string | undefined {
  const known = new Set(had)
  return has.find((name) => !known.has(name))
}

/** More headers than a list of this length can contain. */
function allHeaders(entries: number): string[] {
  return Array.from({ length: entries + 1 }, (_, index) => `x-${index}`)
}
