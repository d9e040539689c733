import { createHash } from 'node:crypto'
import type { Mode } from '../decision.ts'
import { createIpSet, type IpSet } from '../match/ip-set.ts'
import { parseIpRange, type IpAddress } from '../match/ip.ts'
import { createOriginSet, type OriginSet } from '../match/origin-set.ts'
import { parseOriginEntry } from '../match/origin.ts'
import type { Problem } from '../match/problem.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../match/return-url-set.ts'
import { parseReturnUrlEntry } from '../match/return-url.ts'
import type { CorsSettings } from './cors.ts'
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
  readonly lists: readonly NamedSet[]
  readonly denyLists: readonly NamedSet[]
}

/** A named list of addresses as guards ask it. Its content may change between two requests. */
export interface NamedSet {
  readonly name: string
  /** Whether the store has such a list. */
  readonly exists: boolean
  /** The canonical text of a range that contains the address and has not expired at `now`, milliseconds since the epoch. */
  find(address: IpAddress, now: number): string | undefined
}

export interface CompiledDomains {
  readonly mode: Mode
  readonly domains: OriginSet
  readonly cors: CorsSettings
}

export interface CompiledReturnUrls {
  readonly mode: Mode
  readonly urls: ReturnUrlSet
}

/** Named lists by their names. */
export type NamedLists = ReadonlyMap<string, NamedSet>

/**
 * Builds the matchers of a parsed policy. Pure; the work grows with the length of the lists and is done once: a matcher of
 * `before` whose entries are still the same is used again.
 */
export function compilePolicy(
  policy: Policy,
  lists: NamedLists = new Map(),
  before?: CompiledPolicy,
): CompiledPolicy {
  const { ipWhitelist, domainProtect, returnUrlGuard, ...rest } = policy
  return {
    ...rest,
    ipWhitelist: ipWhitelist && {
      mode: ipWhitelist.mode,
      ranges: reused(before?.ipWhitelist?.ranges, ipWhitelist.ranges, () =>
        createIpSet(parsed(ipWhitelist.ranges, parseIpRange)),
      ),
      deny: reused(before?.ipWhitelist?.deny, ipWhitelist.deny, () =>
        createIpSet(parsed(ipWhitelist.deny, parseIpRange)),
      ),
      lists: ipWhitelist.lists.map((name) => lists.get(name) ?? noList(name)),
      denyLists: (ipWhitelist.denyLists ?? []).map((name) => lists.get(name) ?? noList(name)),
    },
    domainProtect: domainProtect && {
      mode: domainProtect.mode,
      domains: reused(before?.domainProtect?.domains, domainProtect.domains, () =>
        createOriginSet(parsed(domainProtect.domains, parseOriginEntry)),
      ),
      cors: corsOf(domainProtect),
    },
    returnUrlGuard: returnUrlGuard && {
      mode: returnUrlGuard.mode,
      urls: reused(before?.returnUrlGuard?.urls, returnUrlGuard.urls, () =>
        createReturnUrlSet(parsed(returnUrlGuard.urls, parseReturnUrlEntry)),
      ),
    },
  }
}

/** Without the domains, whose texts nobody needs any more. */
function corsOf({ methods, headers, exposedHeaders, credentials, maxAge }: CorsSettings): CorsSettings {
  return { methods, headers, exposedHeaders, credentials, maxAge }
}

/** What each matcher was made from, as a digest: the texts themselves may be long, and nothing else needs them. */
const madeFrom = new WeakMap<object, string>()

function reused<Matcher extends object>(
  before: Matcher | undefined,
  entries: unknown,
  make: () => Matcher,
): Matcher {
  const source = createHash('sha256').update(JSON.stringify(entries)).digest('base64')
  if (before !== undefined && madeFrom.get(before) === source) return before
  const matcher = make()
  madeFrom.set(matcher, source)
  return matcher
}

/**
 * About how many bytes of memory a policy takes in compiled form; `npm run bench:store` holds it against what is measured.
 */
export function weighPolicy(policy: Policy, { ipWhitelist, returnUrlGuard }: CompiledPolicy): number {
  let weight = 1_024
  if (ipWhitelist !== undefined) weight += 1_024 + ipWhitelist.ranges.bytes + ipWhitelist.deny.bytes
  for (const domain of policy.domainProtect?.domains ?? []) weight += 56 + domain.length
  const { methods = [], headers = [], exposedHeaders = [] } = policy.domainProtect ?? {}
  for (const name of [...methods, ...headers, ...exposedHeaders]) weight += 56 + name.length
  return weight + (returnUrlGuard?.urls.bytes ?? 0)
}

function noList(name: string): NamedSet {
  return { name, exists: false, find: () => undefined }
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
