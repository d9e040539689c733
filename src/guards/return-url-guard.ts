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
import { sayUrlProblem } from '../match/return-url-words.ts'
import type { CompiledReturnUrls } from '../policy/sections/return-url-guard.ts'
import { unasked, type Guard, type Judgement } from './guard.ts'

/** What a request names as a return URL. */
export interface NamedReturnUrl {
  /** What handlers find it by. */
  readonly name: string
  /** As received; `undefined` when it is not named. */
  readonly value: unknown
  /** Why it cannot be said what the request names. */
  readonly problem?: string | undefined
  /** Whether it may be left out. */
  readonly optional: boolean
}

/** How return URLs are read, whatever the policy of an app says. */
export interface ReturnUrlRules {
  /** The canonical origin that a path is read against. Left out: only absolute URLs count. */
  readonly relativeTo?: string | undefined
  /** Parameters that no return URL may have in its query, because the answer will be put there. */
  readonly reserved?: readonly string[] | undefined
}

export interface ReturnUrlFacts extends ReturnUrlRules {
  /** In the order of their declaration. Each that is named is judged. */
  readonly named: readonly NamedReturnUrl[]
}

/** The canonical return URLs that handlers may use, with their names, in the order of their declaration. */
export type ReturnUrlOutcome = readonly (readonly [name: string, url: ReturnUrl])[]

/**
 * May the user be sent there? Each URL that is named must be allowed.
 *
 * Where the protection only reports or is off, the outcome holds every well-formed URL, so that the mode does not change
 * what handlers do.
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
    // An array that is made with its only member takes a sixth of the memory of one that grows.
    if (returnUrls === undefined) returnUrls = [[each.name, answer.url]]
    else returnUrls.push([each.name, answer.url])
    entries = entries === '' ? answer.entry : `${entries} ${answer.entry}`
  }
  return { decision: allowed(section, entries, returnUrls?.length ?? 0), outcome: returnUrls ?? NO_URLS }
}

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

/** The entry that admits what is named, or the refusal; `undefined` where nothing is named and need not be. */
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
    const detail = `the URL was refused: ${sayUrlProblem(problem)}`
    return refuse(mode, facts, named, 'RETURN_URL_NOT_ALLOWED', detail, { reason: problem })
  }
  const entry = urls.findSlashed(url) ?? urls.find(url)
  if (entry === undefined) {
    return refuse(mode, facts, named, 'RETURN_URL_NOT_ALLOWED', 'the URL matches no entry', {
      origin: url.origin,
    })
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
  // A single one needs no name.
  const parameter = all.length === 1 ? {} : { parameter: name }
  return deny('returnUrlGuard', mode, code, detail, { ...parameter, ...evidence })
}

function isRefusal(answer: object): answer is Refusal {
  return Object.hasOwn(answer, 'effect')
}

/**
 * Reads what is named, strictly; `undefined` when nothing is. An empty string names nothing. A path with encoded slashes is read
 * only where an exact entry of `urls` is the same.
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
