import { hostnameOf } from '../match/host.ts'
import { parseIp } from '../match/ip.ts'
import { lookAlikeProblem } from '../match/look-alike.ts'
import { originIndexKeys } from '../match/origin.ts'
import type { OriginEntry } from '../match/origin.ts'
import type { PlacedEntry } from '../match/entries.ts'
import type { ReturnUrlEntry, ReturnUrlText } from '../match/return-url.ts'
import { finding, findingsAt, type Note, type PolicyFinding } from './finding.ts'

const WEB = /^https?:/

/** Which origins may call, and what their pages may do. */
interface Domains {
  readonly mode: string
  readonly domains: readonly string[]
  readonly server?: string | undefined
  readonly credentials?: boolean | undefined
}

/** The findings about which origins may call, and what their pages may do. */
export function lintDomains(section: Domains, placed: readonly PlacedEntry<OriginEntry>[]): PolicyFinding[] {
  const places = new Map(placed.map(({ entry, index }) => [entry.text, index]))
  const notes = placed.flatMap(({ entry: { text }, index }) => domainNotes(text, index, places))
  return [
    ...findingsAt('domainProtect.domains', [...emptyNotes(section.mode, placed), ...notes]),
    ...lintServer(section),
    ...lintCredentials(section),
  ]
}

function domainNotes(text: string, index: number, places: ReadonlyMap<string, number>): Note[] {
  if (text === 'null') return [{ code: 'null-origin', index, message: NULL_ORIGIN }]
  const swallowing = wildcardsOver(text).find((wildcard) => places.has(wildcard))
  const found: Note[] = WEB.test(text) ? [...lookAlikeNotes(text, index), ...hostNotes(text, index)] : []
  const corrected = secured(text)
  if (isInsecure(text)) {
    const free = corrected !== undefined && !places.has(corrected)
    const message =
      'uses http: anyone on the network path can change the page, which then acts as this origin'
    found.push({ code: 'insecure-scheme', index, message, corrected: free ? corrected : undefined })
  }
  if (text.includes('*')) {
    const message =
      'admits every subdomain, even a forgotten one that someone takes over: list only the subdomains that call'
    found.push({ code: 'wildcard-domain', index, message })
  }
  if (swallowing !== undefined) found.push(swallowedNote(index, `domains[${places.get(swallowing)}]`))
  return found
}

function lintServer({ server }: Domains): PolicyFinding[] {
  if (server !== 'none') return []
  const message =
    'admits every request that shows no sign of a browser, so any program passes: mount `serverOnly` and use `signed`'
  return [finding('server-unchecked', 'domainProtect.server', message, 'signed')]
}

function lintCredentials({ domains, credentials }: Domains): PolicyFinding[] {
  if (credentials !== true || !domains.some((text) => text.includes('*'))) return []
  const message =
    'applies to every subdomain of a wildcard: one that someone takes over can read responses with the cookies of its visitors, so list only the subdomains that call'
  return [finding('credentials-wildcard', 'domainProtect.credentials', message)]
}

const NULL_ORIGIN = 'admits every website: any page can open a sandboxed frame, whose origin is `null`'

/** The wildcards, other than the entry itself, that admit everything that it admits. */
function wildcardsOver(text: string): string[] {
  // A wildcard that admits one subdomain admits all of them.
  const origin = text.replace('://*.', '://x.')
  return originIndexKeys(origin).filter((key) => key !== origin && key !== text)
}

/** The findings about a list of return URLs. */
export function lintReturnUrls(
  mode: string,
  placed: readonly PlacedEntry<ReturnUrlEntry>[],
): PolicyFinding[] {
  const places = new Map(placed.map(({ entry, index }) => [keyOf(writtenForm(entry)), index]))
  const notes = placed.flatMap(({ entry, index }): Note[] => {
    const found: Note[] = WEB.test(entry.origin) ? urlNotes(entry, index, places) : []
    const swallowing = entriesOver(entry).find((key) => places.has(key))
    if (swallowing !== undefined) found.push(swallowedNote(index, `urls[${places.get(swallowing)}]`))
    else if (entry.kind === 'prefix' && !entry.path.endsWith('/'))
      found.push(exactNote(entry.text, index, places))
    return found
  })
  return findingsAt('returnUrlGuard.urls', [...emptyNotes(mode, placed), ...notes])
}

function writtenForm({ kind, text }: ReturnUrlEntry): ReturnUrlText {
  return kind === 'exact' ? { exact: text } : text
}

function urlNotes(entry: ReturnUrlEntry, index: number, places: ReadonlyMap<string, number>): Note[] {
  const { text, kind, origin, path } = entry
  const notes: Note[] = lookAlikeNotes(origin, index)
  const rewritten = (changed: string | undefined): string | undefined => {
    if (changed === undefined) return undefined
    const corrected = kind === 'exact' ? { exact: changed } : changed
    if (places.has(keyOf(corrected))) return undefined
    return typeof corrected === 'string' ? corrected : JSON.stringify(corrected)
  }
  if (isLocalhost(hostnameOf(origin))) {
    const message =
      "is a name that may not mean the user's own machine: use the address instead (RFC 8252, 8.3)"
    const name = /^http:\/\/localhost(?=[:/])/
    const changed = name.test(text) ? text.replace(name, 'http://127.0.0.1') : undefined
    notes.push({ code: 'localhost', index, message, corrected: rewritten(changed) })
  }
  if (isInsecure(origin)) {
    const message = 'uses http: anyone on the network path can read the codes and results in the return URL'
    const changed = secured(origin) && text.replace('http:', 'https:')
    notes.push({ code: 'insecure-scheme', index, message, corrected: rewritten(changed) })
  }
  if (kind === 'prefix' && path === '/') {
    const message =
      'admits every page of the origin: a single page that redirects elsewhere can leak the codes and results in the URL'
    notes.push({ code: 'whole-origin', index, message })
  }
  return notes
}

/** A prefix that ends with a slash is a folder. One that ends like a page was probably meant as only that page. */
function exactNote(text: string, index: number, places: ReadonlyMap<string, number>): Note {
  const message =
    'looks like a single page, but also admits everything below it: write it as `exact` if the return URL is always this one (RFC 9700, 2.1), or end it with a slash'
  const exact = keyOf({ exact: text })
  return { code: 'exact-possible', index, message, corrected: places.has(exact) ? undefined : exact }
}

/** The keys of all other entries that admit everything that an entry admits. */
function entriesOver({ kind, origin, path, query, text }: ReturnUrlEntry): string[] {
  const loopback = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::[0-9]+)?$/.exec(origin)?.[1]
  const anyPort = loopback === undefined ? [] : [`${loopback}:*`]
  const exact = kind === 'exact' ? anyPort.map((other) => keyOf({ exact: other + path + query })) : []
  const prefixes = [origin, ...anyPort].flatMap((other) => prefixesOf(path).map((start) => other + start))
  return [...exact, ...prefixes.filter((prefix) => kind === 'exact' || prefix !== text).map(keyOf)]
}

/** All prefixes that admit a path: the path cut before and after each slash, and the whole path. */
function prefixesOf(path: string): string[] {
  const cuts = [...path.matchAll(/\//g)].flatMap(({ index }) => [index, index + 1])
  return [...new Set([...cuts, path.length])].map((cut) => path.slice(0, cut))
}

function keyOf(entry: ReturnUrlText): string {
  return typeof entry === 'string' ? entry : JSON.stringify(entry)
}

function lookAlikeNotes(origin: string, index: number): Note[] {
  const problem = lookAlikeProblem(hostnameOf(origin).replace('*.', ''))
  if (problem === undefined) return []
  return [{ code: 'look-alike-host', index, message: `${problem}: people can mistake it for another name` }]
}

function hostNotes(origin: string, index: number): Note[] {
  const hostname = hostnameOf(origin)
  if (!isLocalhost(hostname) && !isLoopback(hostname)) return []
  const message =
    "is the user's own machine, where any program can serve a page: use it only in development policies"
  return [{ code: 'localhost', index, message }]
}

function isInsecure(origin: string): boolean {
  const hostname = hostnameOf(origin)
  return origin.startsWith('http:') && !isLocalhost(hostname) && !isLoopback(hostname)
}

/** The origin with https. `undefined` if it has a port, because that port may not speak TLS. */
function secured(origin: string): string | undefined {
  return origin === `http://${hostnameOf(origin)}` ? origin.replace('http:', 'https:') : undefined
}

function isLocalhost(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost')
}

function isLoopback(hostname: string): boolean {
  const address = parseIp(hostname.replace(/^\[|\]$/g, ''))
  if (address === undefined) return false
  return address.version === 4 ? address.text.startsWith('127.') : address.text === '::1'
}

function emptyNotes(mode: string, entries: readonly unknown[]): Note[] {
  if (entries.length > 0 || mode === 'off') return []
  return [{ code: 'empty-list', message: 'admits nothing: the list is empty' }]
}

function swallowedNote(index: number, by: string): Note {
  return {
    code: 'entry-swallowed',
    index,
    message: `changes nothing: \`${by}\` already admits all of it`,
  }
}
