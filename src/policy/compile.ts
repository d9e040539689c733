import type { Mode } from '../decision.ts'
import { PolicyError } from '../errors.ts'
import { createIpSet, type IpSet } from '../match/ip-set.ts'
import { parseIpRange, type IpRange } from '../match/ip.ts'
import { createOriginSet, type OriginSet } from '../match/origin-set.ts'
import { parseOriginEntry } from '../match/origin.ts'
import type { Problem } from '../match/problem.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../match/return-url-set.ts'
import { parseReturnUrlEntry } from '../match/return-url.ts'
import type { AuditProtection, Policy, RegionProtection, ServerOnlyProtection } from './policy.ts'

/** A policy in the form that guards read: lists are sets whose cost does not grow with their length. */
export interface CompiledPolicy {
  readonly appId: string
  readonly serverOnly?: ServerOnlyProtection | undefined
  readonly ipWhitelist?: CompiledIpWhitelist | undefined
  readonly domainProtect?: CompiledDomains | undefined
  readonly returnUrlGuard?: CompiledReturnUrls | undefined
  readonly regionPin?: RegionProtection | undefined
  readonly auditAccess?: AuditProtection | undefined
}

export interface CompiledIpWhitelist {
  readonly mode: Mode
  readonly ranges: IpSet
  readonly deny: IpSet
}

export interface CompiledDomains {
  readonly mode: Mode
  readonly domains: OriginSet
}

export interface CompiledReturnUrls {
  readonly mode: Mode
  readonly urls: ReturnUrlSet
}

/** The ranges of named lists, by name. */
export type NamedLists = ReadonlyMap<string, readonly string[]>

/**
 * Builds the matchers of a parsed policy. Pure; the work grows with the length of the lists and is done once.
 *
 * @throws PolicyError when a named list holds an entry that is not a canonical address or range.
 */
export function compilePolicy(policy: Policy, lists: NamedLists = new Map()): CompiledPolicy {
  const { ipWhitelist, domainProtect, returnUrlGuard, ...rest } = policy
  return {
    ...rest,
    ipWhitelist: ipWhitelist && {
      mode: ipWhitelist.mode,
      ranges: createIpSet([
        ...parsed(ipWhitelist.ranges, parseIpRange),
        ...ipWhitelist.lists.flatMap((name) => listedRanges(name, lists)),
      ]),
      deny: createIpSet(parsed(ipWhitelist.deny, parseIpRange)),
    },
    domainProtect: domainProtect && {
      mode: domainProtect.mode,
      domains: createOriginSet(parsed(domainProtect.domains, parseOriginEntry)),
    },
    returnUrlGuard: returnUrlGuard && {
      mode: returnUrlGuard.mode,
      urls: createReturnUrlSet(parsed(returnUrlGuard.urls, parseReturnUrlEntry)),
    },
  }
}

function listedRanges(name: string, lists: NamedLists): IpRange[] {
  return (lists.get(name) ?? []).map((text, index) => {
    const range = parseIpRange(text)
    if (!('problem' in range)) return range
    throw new PolicyError([
      { path: `list ${name}[${index}]`, message: range.problem, corrected: range.corrected },
    ])
  })
}

/** A `Policy` holds only entries that its parser took, so a refusal here is a fault of ours, not of a document. */
function parsed<Text, Entry extends object>(
  texts: readonly Text[],
  parse: (text: Text) => Entry | Problem,
): Entry[] {
  return texts.map((text) => {
    const entry = parse(text)
    if ('problem' in entry) throw new TypeError('a parsed policy holds an entry that its own parser refuses')
    return entry
  })
}
