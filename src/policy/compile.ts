import { createHash } from 'node:crypto'
import type { Mode } from '../decision.ts'
import { createIpSet, type IpSet } from '../match/ip-set.ts'
import type { IpAddress } from '../match/ip.ts'
import { createOriginSet, type OriginSet } from '../match/origin-set.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../match/return-url-set.ts'
import type { CorsSettings } from './cors.ts'
import { readPolicy, type ReadPolicy } from './parse.ts'
import type {
  AuditProtection,
  DomainProtection,
  IpWhitelistProtection,
  Policy,
  RegionProtection,
  ServerOnlyProtection,
} from './policy.ts'

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
  readonly server: NonNullable<DomainProtection['server']>
  readonly cors: CorsSettings
}

export interface CompiledReturnUrls {
  readonly mode: Mode
  readonly urls: ReturnUrlSet
}

/** Named lists by their names. */
export type NamedLists = ReadonlyMap<string, NamedSet>

/**
 * Builds the matchers of a policy. Pure; the work grows with the length of the lists and is done once: a matcher of `before`
 * whose entries are still the same is used again. Takes what `readPolicy` gives; the entries of a mere `Policy` are read anew.
 *
 * Every member of the result is its own, also where it is `undefined`, so that no look-up ever asks a prototype.
 */
export function compilePolicy(
  given: ReadPolicy | Policy,
  lists: NamedLists = new Map(),
  before?: CompiledPolicy,
): CompiledPolicy {
  const read = Object.hasOwn(given, 'policy') ? (given as ReadPolicy) : readPolicy(given)
  const { appId, serverOnly, ipWhitelist, domainProtect, returnUrlGuard, regionPin, auditAccess } =
    read.policy
  // The compiler names the section of a guard that is missing here.
  const compiled: { readonly [Name in keyof Required<CompiledPolicy>]: CompiledPolicy[Name] } = {
    appId,
    serverOnly: serverOnly && { ...serverOnly },
    ipWhitelist: ipWhitelist && compileAddresses(ipWhitelist, read, lists, before?.ipWhitelist),
    domainProtect: domainProtect && {
      mode: domainProtect.mode,
      domains: reused(before?.domainProtect?.domains, domainProtect.domains, () =>
        createOriginSet(read.domains.entries),
      ),
      server: domainProtect.server ?? 'claim',
      cors: corsOf(domainProtect),
    },
    returnUrlGuard: returnUrlGuard && {
      mode: returnUrlGuard.mode,
      urls: reused(before?.returnUrlGuard?.urls, returnUrlGuard.urls, () =>
        createReturnUrlSet(read.urls.entries),
      ),
    },
    regionPin: regionPin && {
      mode: regionPin.mode,
      onMisdirected: regionPin.onMisdirected,
      fallback: regionPin.fallback,
    },
    auditAccess: auditAccess && { ...auditAccess },
  }
  return compiled
}

function compileAddresses(
  { mode, ranges, deny, lists, denyLists = [] }: IpWhitelistProtection,
  read: ReadPolicy,
  known: NamedLists,
  before: CompiledIpWhitelist | undefined,
): CompiledIpWhitelist {
  const named = (name: string): NamedSet => known.get(name) ?? missingList(name)
  return {
    mode,
    ranges: reused(before?.ranges, ranges, () => createIpSet(read.ranges.entries)),
    deny: reused(before?.deny, deny, () => createIpSet(read.deny.entries)),
    lists: lists.map(named),
    denyLists: denyLists.map(named),
  }
}

/** Without the domains, whose texts are not needed any more. */
function corsOf({ methods, headers, exposedHeaders, credentials, maxAge }: CorsSettings): CorsSettings {
  return { methods, headers, exposedHeaders, credentials, maxAge }
}

/** What each matcher was made from, as a digest: the texts may be long, and are not needed otherwise. */
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

function missingList(name: string): NamedSet {
  return { name, exists: false, find: () => undefined }
}
