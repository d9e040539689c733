import {
  allow,
  deny,
  sharedAllowances,
  type Decision,
  type DenialCode,
  type Evidence,
  type Mode,
  type Refusal,
} from '../decision.ts'
import { hasParameter } from '../match/parameter-name.ts'
import { parseRelativeUrl } from '../match/relative-url.ts'
import { isProblem } from '../match/problem.ts'
import type { ReturnUrlSet } from '../match/return-url-set.ts'
import { parseExactUrl, parseNamedUrl, type ReturnUrl } from '../match/return-url.ts'
import { sayRefusedUrl } from '../match/return-url-words.ts'
import type { CompiledReturnUrls } from '../policy/sections/return-url-guard.ts'
import { unasked, type Guard, type Judgement } from './guard.ts'

/** A return URL of a request. */
export interface NamedReturnUrl {
  /** The name by which handlers find it. */
  readonly name: string
  /** The value as received. `undefined` if the request does not have it. */
  readonly value: unknown
  /** Why the request's return URL cannot be determined. */
  readonly problem?: string | undefined
  /** Whether the request may omit it. */
  readonly optional: boolean
}

/** How return URLs are read, regardless of the policy. */
export interface ReturnUrlRules {
  /** The canonical origin that a path is resolved against. Left out: only absolute URLs are allowed. */
  readonly relativeTo?: string | undefined
  /** Query parameters that no return URL may have, because the response will add them. */
  readonly reserved?: readonly string[] | undefined
}

export interface ReturnUrlFacts extends ReturnUrlRules {
  /** In the order of their declaration. Each URL that the request has is judged. */
  readonly named: readonly NamedReturnUrl[]
}

/** The canonical return URLs that handlers may use, with their names, in the order of their declaration. */
export type ReturnUrlOutcome = readonly (readonly [name: string, url: ReturnUrl])[]

/**
 * Decides whether the user may be sent to the return URLs. Every URL in the request must be allowed.
 *
 * In `report` and `off`, the outcome contains every well-formed URL, so that the mode does not change what handlers do.
 */
export const decideReturnUrlGuard: Guard<ReturnUrlFacts, ReturnUrlOutcome> = (policy, facts) => {
  const section = policy.returnUrlGuard
  if (section === undefined || section.mode === 'off') {
    const { decision } = unasked(policy, 'returnUrlGuard') as Judgement
    return section === undefined ? { decision } : { decision, outcome: wellFormed(facts, section.urls) }
  }
  const { named } = facts
  let returnUrls: (readonly [name: string, url: ReturnUrl])[] | undefined
  let entries = ''
  for (let index = 0; index < named.length; index += 1) {
    const each = named[index] as NamedReturnUrl
    const answer = judge(section, facts, each)
    if (answer === undefined) continue
    if (isRefusal(answer)) return refusedBy(section, facts, answer)
    // An array created with its only element takes a sixth of the memory of one that grows.
    if (returnUrls === undefined) returnUrls = [[each.name, answer.url]]
    else returnUrls.push([each.name, answer.url])
    entries = entries === '' ? answer.entry : `${entries} ${answer.entry}`
  }
  return { decision: allowed(section, entries, returnUrls?.length ?? 0), outcome: returnUrls ?? NO_URLS }
}

const NO_ENTRIES = '`urls` is empty or missing in the policy, so it admits no URL'
const NO_URLS: ReturnUrlOutcome = Object.freeze([])

function refusedBy(
  { mode, urls }: CompiledReturnUrls,
  facts: ReturnUrlFacts,
  decision: Refusal,
): Judgement<ReturnUrlOutcome> {
  return mode === 'enforce' ? { decision } : { decision, outcome: wellFormed(facts, urls) }
}

function allowed({ mode }: CompiledReturnUrls, entries: string, count: number): Decision {
  if (count === 0) {
    return allow('returnUrlGuard', mode, 'the request has no return URL, and none is required')
  }
  return count === 1 ? oneMatches(mode, entries) : allMatch(mode, entries)
}

const oneMatches = sharedAllowances('returnUrlGuard', 'the URL matches an entry', ['entry'])
const allMatch = sharedAllowances('returnUrlGuard', 'every URL matches an entry', ['entry'])

function wellFormed(facts: ReturnUrlFacts, urls: ReturnUrlSet): ReturnUrlOutcome {
  return facts.named.flatMap((named) => {
    const url = readNamed(named, facts, urls)
    return url === undefined || isProblem(url) ? [] : [[named.name, url] as const]
  })
}

/** The URL and the entry that admits it, or the refusal. `undefined` if the request omits an optional URL. */
function judge(
  { mode, urls }: CompiledReturnUrls,
  facts: ReturnUrlFacts,
  named: NamedReturnUrl,
): { readonly url: ReturnUrl; readonly entry: string } | Refusal | undefined {
  const url = readNamed(named, facts, urls)
  if (url === undefined) {
    return named.optional
      ? undefined
      : refuse(mode, facts, named, 'RETURN_URL_REQUIRED', 'the request has no return URL')
  }
  if (isProblem(url)) {
    const { problem } = url
    return refuse(mode, facts, named, 'RETURN_URL_NOT_ALLOWED', sayRefusedUrl(problem), { reason: problem })
  }
  const entry = urls.findSlashed(url) ?? urls.find(url)
  if (entry === undefined) {
    const detail = urls.size === 0 ? NO_ENTRIES : 'the URL matches no entry'
    return refuse(mode, facts, named, 'RETURN_URL_NOT_ALLOWED', detail, { origin: url.origin })
  }
  return { url, entry }
}

function refuse(
  mode: Mode,
  { named: all }: ReturnUrlFacts,
  { name }: NamedReturnUrl,
  code: DenialCode,
  detail: string,
  evidence: Evidence = {},
): Refusal {
  // If there is only one URL, its name is left out.
  const parameter = all.length === 1 ? {} : { parameter: name }
  return deny('returnUrlGuard', mode, code, detail, { ...parameter, ...evidence })
}

function isRefusal(answer: object): answer is Refusal {
  return Object.hasOwn(answer, 'effect')
}

/**
 * Reads a return URL strictly. Returns `undefined` if the request does not have it or if it is an empty string. A path with
 * encoded slashes is accepted only if `urls` has the same exact entry.
 */
export function readNamed(
  { value, problem }: NamedReturnUrl,
  { relativeTo, reserved = [] }: ReturnUrlRules,
  urls?: ReturnUrlSet,
): ReturnUrl | { readonly problem: string } | undefined {
  if (problem !== undefined) return { problem }
  if (value === undefined || value === '') return undefined
  let url = relativeTo === undefined ? parseNamedUrl(value) : parseRelativeUrl(value, relativeTo)
  if (isProblem(url) && url.problem === 'encoded separator') {
    const exact = parseExactUrl(value)
    if (!isProblem(exact) && urls?.findSlashed(exact) !== undefined) url = exact
  }
  if (isProblem(url) || !hasParameter(url.query.slice(1), reserved)) return url
  return { problem: 'reserved parameter' }
}
