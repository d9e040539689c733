import type { Decision, Refusal } from '../decision.ts'
import type { ReturnUrlFacts } from '../guards/return-url-guard.ts'
import { guessCountry, isLocale, NO_CITIZENSHIP } from '../jurisdiction/country-guess.ts'
import { isLocal, isLoopback } from '../match/client-address.ts'
import type { EntryList } from '../match/entries.ts'
import { parseIp } from '../match/ip.ts'
import {
  nearestDomains,
  nearestRanges,
  nearestReturnUrls,
  type DifferingPart,
  type EntryComparison,
} from '../match/nearest.ts'
import { parseOrigin } from '../match/origin.ts'
import { isProblem } from '../match/problem.ts'
import { parseReturnUrl } from '../match/return-url.ts'
import { parseRelativeUrl } from '../match/relative-url.ts'
import { GUARD_NAMES, type ReadSections } from '../policy/sections.ts'
import { keptLists } from '../source/parsed-lists.ts'
import { sayEvidence } from './evidence-words.ts'
import { printable } from './printable.ts'
import { NO_APP } from './request/app-id.ts'
import type { ClientAddressReader } from './request/client-address.ts'
import type { RequestContext } from './request/context.ts'

/** A refusal as developers see it: its texts, and what else the request shows. */
export interface Picture {
  readonly detail: string
  readonly evidence: Refusal['evidence']
  /** The nearest entry and its difference, ready for printing. */
  readonly nearest: string | undefined
  readonly differsIn: readonly DifferingPart[]
  /** Whether the value was refused in the form in which it was sent, and another form of it was compared with the entries. */
  readonly respelled: boolean
  /** Whether the nearest entry is a wildcard. */
  readonly wildcard: boolean
  /** Other known facts, ready for printing. */
  readonly facts: readonly string[]
  /** The network of the client address, if the guard judges it. */
  readonly from: 'this machine' | 'a private network' | 'the internet' | undefined
  /** The client address, if it belongs to a private network. */
  readonly privateAddress?: string | undefined
  /** Whether a proxy forwarded the request. */
  readonly proxied: boolean
}

/** The facts that `returnUrlGuard` refused. */
const refusedUrls = new WeakMap<Decision, ReturnUrlFacts>()

/** Keeps the facts of a refusal as long as the decision exists. */
export function noteRefusedUrls(decision: Decision, facts: ReturnUrlFacts): void {
  if (decision.code === 'RETURN_URL_NOT_ALLOWED' || decision.code === 'RETURN_URL_REQUIRED')
    refusedUrls.set(decision, facts)
}

/** Where the client address was looked for, if a request has none. */
const missingAddresses = new WeakMap<Decision, AddressPlace>()

type AddressPlace = Pick<ClientAddressReader, 'place' | 'header'>

/** Keeps where a client address was looked for and not found, if an option says where to look. */
export function noteMissingAddress(decision: Decision, reader: AddressPlace | undefined): void {
  if (decision.code === 'ADDRESS_NOT_ALLOWED' && reader !== undefined) missingAddresses.set(decision, reader)
}

/** What the `country` option returned for requests whose region is unknown. */
const unknownCountries = new WeakMap<Decision, unknown>()

/** Keeps the facts of a refusal as long as the decision exists. */
export function noteUnknownCountry(decision: Decision, country: unknown): void {
  if (decision.code === 'REGION_UNKNOWN') unknownCountries.set(decision, country)
}

/** Describes a refusal. It reads what the guard has read, and calls no option of the application again. */
export function lookAt(refusal: Refusal, context: RequestContext): Picture {
  const { detail, evidence } = refusal
  const { from, privateAddress, facts, compared, writtenAs } =
    LOOKS[refusal.code]?.(refusal, context) ?? NOTHING
  const [first] = compared ?? []
  // If an entry matches the value as it was sent, there was another reason to refuse it.
  const nearest = writtenAs === undefined && first?.differsIn.length === 0 ? undefined : first
  return {
    detail,
    evidence,
    nearest: nearest && describe(nearest, writtenAs),
    differsIn: nearest?.differsIn ?? [],
    respelled: writtenAs !== undefined,
    wildcard: typeof nearest?.entry === 'string' && nearest.entry.includes('://*.'),
    facts: [...strangerOf(refusal, context), ...(facts ?? []), ...sayEvidence(refusal)],
    from,
    privateAddress,
    proxied: context.facts.proxied,
  }
}

/** The id of an app that does not exist, whichever guard has noticed it. */
function strangerOf({ code, evidence }: Refusal, { askedId }: RequestContext): string[] {
  if (code !== 'APP_UNKNOWN' && evidence['cause'] !== 'APP_UNKNOWN') return []
  return askedId === NO_APP ? ['the key id of the signature names no app'] : named('the id', askedId)
}

/** The findings of one look. */
interface Found {
  readonly from?: Picture['from']
  readonly privateAddress?: string
  readonly facts?: readonly string[]
  readonly compared?: readonly EntryComparison[] | undefined
  /** The form in which the value was compared, if the guard has refused it in its own. */
  readonly writtenAs?: string
}

const NOTHING: Found = {}

type Look = (refusal: Refusal, context: RequestContext) => Found

const LOOKS: Partial<Record<Refusal['code'], Look>> = {
  ADDRESS_NOT_ALLOWED: lookAtAddress,
  ORIGIN_NOT_ALLOWED: lookAtOrigin,
  METHOD_NOT_ALLOWED: (_refusal, { facts }) => ({ facts: named('the method', facts.method) }),
  RETURN_URL_REQUIRED: (refusal) => ({ facts: lookedFor(refusal) }),
  RETURN_URL_NOT_ALLOWED: lookAtReturnUrl,
  REGION_UNKNOWN: lookAtCountry,
  DIGEST_MISMATCH: lookAtType,
  PROTECTION_NOT_CONFIGURED: (refusal, { policy }) => ({ facts: otherSections(refusal, policy) }),
}

function lookAtAddress(refusal: Refusal, context: RequestContext): Found {
  const { detail } = refusal
  const address = parseIp(context.address ?? '')
  if (address === undefined) {
    const reader = missingAddresses.get(refusal)
    return reader === undefined
      ? NOTHING
      : { facts: [`it was looked for ${reader.place}${faultOf(reader, context)}`] }
  }
  const from = isLoopback(address) ? 'this machine' : isLocal(address) ? 'a private network' : 'the internet'
  // A public address may belong to a person.
  const text = from === 'the internet' ? `IPv${address.version}` : `\`${address.text}\``
  const compared = detail.includes('outside every range')
    ? nearestIn(listsOf(context)?.ipWhitelist?.ranges, (entries) => nearestRanges(address, entries))
    : undefined
  const missing = (context.policy?.ipWhitelist?.lists ?? []).filter(({ exists }) => !exists)
  const lists = missing.map(({ name }) => `the store has no list \`${name}\``)
  const isPrivate = from === 'a private network'
  return {
    from,
    ...(isPrivate && { privateAddress: address.text }),
    facts: [`the client address belongs to ${from} (${text})`, ...lists],
    compared,
  }
}

/** What is wrong with the header, without its value: it may contain the addresses of people. */
function faultOf({ header }: AddressPlace, { facts }: RequestContext): string {
  if (header === undefined || !facts.headersComplete) return ''
  if (facts.lines(header).length === 0) return ', which the request does not have'
  if (facts.peer === undefined) return ', but the socket has no address'
  const isList = header === 'x-forwarded-for' || header === 'forwarded'
  return isList ? ', which has a part that is not an address' : ', which is not one address'
}

function lookAtOrigin({ evidence }: Refusal, context: RequestContext): Found {
  const { origin, xOrigin } = context.facts
  const text = origin ?? xOrigin ?? ''
  const facts = named(origin === undefined ? '`X-Origin`' : '`Origin`', text)
  const canonical = parseOrigin(text) ?? originIn(text)
  if (canonical === undefined) return { facts }
  const { domains } = listsOf(context)?.domainProtect ?? {}
  const compared = nearestIn(domains, (entries) => nearestDomains(canonical, entries))
  // The guard has not compared this text, so no entry may be said to match it.
  const respelled = canonical !== text && (evidence['case'] === 'invalid' || parseOrigin(text) === undefined)
  return { facts, compared, ...(respelled && { writtenAs: canonical }) }
}

/** The origin that a text such as `https://example.org/` or `https://example.org/page` begins with. */
function originIn(text: string): string | undefined {
  const [origin] = /^[^/?#]{1,64}:\/\/[^/?#]{1,255}(?=[/?#])/.exec(text) ?? []
  return origin === undefined ? undefined : parseOrigin(origin)
}

function lookAtReturnUrl(refusal: Refusal, context: RequestContext): Found {
  const facts = refusedUrls.get(refusal)
  const { parameter } = refusal.evidence
  const one = facts?.named.find(({ name }) => parameter === undefined || name === parameter)
  if (facts === undefined || one === undefined || typeof one.value !== 'string') return NOTHING
  const { relativeTo } = facts
  const url = relativeTo === undefined ? parseReturnUrl(one.value) : parseRelativeUrl(one.value, relativeTo)
  // No valid URL begins like this.
  if (isProblem(url)) return /^https?%3a/i.test(one.value) ? { facts: [ENCODED_TWICE] } : NOTHING
  // The query may contain private data.
  return {
    facts: named('the URL', url.origin + url.path),
    compared: nearestIn(listsOf(context)?.returnUrlGuard?.urls, (entries) => nearestReturnUrls(url, entries)),
  }
}

/** Describes the value of the `country` option without quoting it. */
function lookAtCountry(refusal: Refusal): Found {
  const given = unknownCountries.get(refusal)
  const code = guessCountry(given)
  // The country itself is personal data.
  if (code !== undefined) return { facts: [OTHER_SPELLING] }
  if (given === undefined || given === null) return NOTHING
  if (isLocale(given)) return { facts: [NO_CITIZENSHIP] }
  const type = typeof given === 'string' ? 'text that is not a country code' : `value of type ${typeof given}`
  return { facts: [`the \`country\` option returned a ${type}`] }
}

/** The media type, if body parsers keep its bytes only when it is named in an option. */
function lookAtType({ detail }: Refusal, { facts }: RequestContext): Found {
  const [line = 'none'] = facts.message().header('content-type')
  const [type = ''] = line.split(';', 1)
  const isKept = /^application\/(?:.+\+)?json$|^application\/x-www-form-urlencoded$/i.test(type.trim())
  return isKept || !detail.includes('not kept') ? NOTHING : { facts: named('`Content-Type`', type) }
}

/** All missing sections at once: otherwise each one would be reported only after the previous one was added. */
function otherSections({ guard }: Refusal, policy: RequestContext['policy']): string[] {
  if (policy === undefined) return []
  const missing = GUARD_NAMES.filter((name) => name !== guard && policy[name] === undefined)
  return missing.length === 0 ? [] : [`it also lacks ${missing.map((name) => `\`${name}\``).join(', ')}`]
}

const OTHER_SPELLING =
  'the `country` option returned another spelling of a country code: write `DE`, and not `Germany` or `DEU`; `GB`, and not `UK`'
const ENCODED_TWICE = 'it was percent-encoded twice'

function lookedFor(refusal: Refusal): string[] {
  const names = refusedUrls.get(refusal)?.named.map(({ name }) => `\`${printable(name)}\``) ?? []
  return names.length === 0 ? [] : [`the guard looked for ${names.join(', ')}`]
}

function listsOf({ policy }: RequestContext): ReadSections | undefined {
  return policy && keptLists(policy)
}

function nearestIn<Entry>(
  list: EntryList<Entry> | undefined,
  compare: (entries: readonly Entry[]) => EntryComparison[],
): EntryComparison[] | undefined {
  return list && compare(list.entries)
}

function describe({ entry, differsIn, text }: EntryComparison, writtenAs: string | undefined): string {
  const written = typeof entry === 'string' ? `\`${entry}\`` : `exact \`${entry.exact}\``
  // A query may contain private data, and the line does not need it.
  const how = differsIn.includes('query') ? `differs in ${differsIn.join(', ')}` : text
  const verdict =
    writtenAs !== undefined && differsIn.length === 0
      ? `would match if the origin were written as \`${writtenAs}\``
      : how
  return printable(`${written} ${verdict}`)
}

function named(what: string, value: string | undefined): string[] {
  return value === undefined ? [] : [`${what} is \`${printable(value, 200)}\``]
}
