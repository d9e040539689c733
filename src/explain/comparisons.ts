import type { GuardName } from '../decision.ts'
import { readNamed, type NamedReturnUrl, type ReturnUrlRules } from '../guards/return-url-guard.ts'
import { parseIp } from '../match/ip.ts'
import { nearestDomains, nearestRanges, nearestReturnUrls, type EntryComparison } from '../match/nearest.ts'
import { parseOrigin } from '../match/origin.ts'
import { isProblem } from '../match/problem.ts'
import { parseReturnUrl } from '../match/return-url.ts'
import { createReturnUrlSet } from '../match/return-url-set.ts'
import type { ReadPolicy } from '../policy/parse.ts'
import type { RequestFacts } from '../http/request/facts.ts'

/** The value that a guard compared with the entries of its list, and the nearest entries. */
export interface Comparison {
  readonly guard: Extract<GuardName, 'ipWhitelist' | 'domainProtect' | 'returnUrlGuard'>
  readonly input: 'address' | 'Origin' | 'X-Origin' | 'return URL'
  /** The canonical form of the value, which is compared. `undefined` if the value was refused before. */
  readonly canonical?: string | undefined
  /** Why the value was refused. */
  readonly problem?: string | undefined
  /** How a browser would parse the refused URL: what the sender may have intended. */
  readonly parsedAs?: string | undefined
  /** The number of entries in the list. */
  readonly entries: number
  /** The nearest entries, at most three, the nearest first. */
  readonly nearest: readonly EntryComparison[]
}

/** Compares the values of a request with the lists of a policy. */
export function compareWithEntries(
  policy: ReadPolicy,
  facts: RequestFacts,
  returnUrl: NamedReturnUrl,
  rules: ReturnUrlRules,
): Comparison[] {
  return [
    ...compareAddress(policy, facts),
    ...compareOrigin(policy, facts),
    ...compareReturnUrl(policy, returnUrl, rules),
  ]
}

/** The entry of a guard's list that is nearest to a value; `undefined` if the list is empty, or the value cannot be an entry. */
export function nearestEntry(
  { lists }: ReadPolicy,
  guard: Comparison['guard'],
  value: string,
): EntryComparison | undefined {
  return nearestTo(lists, guard, value)[0]
}

function nearestTo(
  { ipWhitelist, domainProtect, returnUrlGuard }: ReadPolicy['lists'],
  guard: Comparison['guard'],
  value: string,
): readonly EntryComparison[] {
  if (guard === 'domainProtect') {
    const origin = parseOrigin(value)
    return origin === undefined ? [] : nearestDomains(origin, domainProtect?.domains.entries ?? [])
  }
  if (guard === 'ipWhitelist') {
    const address = parseIp(value)
    return address === undefined ? [] : nearestRanges(address, ipWhitelist?.ranges.entries ?? [])
  }
  const url = parseReturnUrl(value)
  return isProblem(url) ? [] : nearestReturnUrls(url, returnUrlGuard?.urls.entries ?? [])
}

function compareAddress({ lists }: ReadPolicy, facts: RequestFacts): Comparison[] {
  const address = facts.address(undefined)?.address
  if (lists.ipWhitelist === undefined || address === undefined) return []
  const { entries } = lists.ipWhitelist.ranges
  return [
    {
      guard: 'ipWhitelist',
      input: 'address',
      canonical: address.text,
      entries: entries.length,
      nearest: nearestRanges(address, entries),
    },
  ]
}

function compareOrigin({ lists }: ReadPolicy, { origin, xOrigin }: RequestFacts): Comparison[] {
  const text = origin ?? xOrigin
  if (lists.domainProtect === undefined || text === undefined) return []
  const { domains } = lists.domainProtect
  const guard = 'domainProtect'
  const input = origin === undefined ? 'X-Origin' : 'Origin'
  const entries = domains.entries.length
  const canonical = parseOrigin(text)
  // Browsers send the canonical form, so `Origin` is not accepted in any other.
  if (canonical === undefined || (input === 'Origin' && canonical !== text)) {
    const problem = 'not a serialised origin'
    return [{ guard, input, problem, parsedAs: parsed(text)?.origin, entries, nearest: [] }]
  }
  return [{ guard, input, canonical, entries, nearest: nearestDomains(canonical, domains.entries) }]
}

function compareReturnUrl({ lists }: ReadPolicy, named: NamedReturnUrl, rules: ReturnUrlRules): Comparison[] {
  if (lists.returnUrlGuard === undefined) return []
  const { urls } = lists.returnUrlGuard
  const url = readNamed(named, rules, createReturnUrlSet(urls.entries))
  if (url === undefined) return []
  const guard = 'returnUrlGuard'
  const input = 'return URL'
  const entries = urls.entries.length
  if (isProblem(url)) {
    const parsedAs = parsed(named.value, rules.relativeTo)?.href
    return [{ guard, input, problem: url.problem, parsedAs, entries, nearest: [] }]
  }
  return [{ guard, input, canonical: url.href, entries, nearest: nearestReturnUrls(url, urls.entries) }]
}

/** Limits the length of an explanation, regardless of the request. */
const LONGEST = 2048

function parsed(text: unknown, base?: string): URL | undefined {
  if (typeof text !== 'string' || text.length > LONGEST) return undefined
  try {
    return new URL(text, base)
  } catch {
    return undefined
  }
}
