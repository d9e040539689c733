import type { GuardName, Mode } from '../decision.ts'
import type { CorsSettings } from './cors.ts'

/**
 * The policy document of one app, checked, completed with its defaults and in canonical form. Made only by `parsePolicy`;
 * deeply frozen. To write one, see {@link PolicyInput}.
 */
export interface Policy {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly appId: string
  readonly name?: string | undefined
  readonly serverOnly?: ServerOnlyProtection | undefined
  readonly ipWhitelist?: IpWhitelistProtection | undefined
  readonly domainProtect?: DomainProtection | undefined
  readonly returnUrlGuard?: ReturnUrlProtection | undefined
  readonly regionPin?: RegionProtection | undefined
  readonly auditAccess?: AuditProtection | undefined
}

interface Protection {
  readonly mode: Mode
}

export interface ServerOnlyProtection extends Protection {
  /** How far the `created` time of a signature may be from now, both ways, in seconds. Default 300. */
  readonly maxAge: number
  /** Whether content must be covered by a `content-digest`. Default true. */
  readonly requireDigest: boolean
  /** Whether the `content-type` of content must be covered where it was sent. Default true. */
  readonly requireContentType: boolean
}

export interface IpWhitelistProtection extends Protection {
  /** Addresses and CIDR ranges that are admitted. Empty admits nobody. */
  readonly ranges: readonly string[]
  /** Addresses and CIDR ranges that are refused, whatever `ranges` says. */
  readonly deny: readonly string[]
  /** Names of lists of the store whose ranges are admitted too. A list that the store does not have admits nobody. */
  readonly lists: readonly string[]
  /**
   * Names of lists of the store whose ranges are refused, whatever else admits them. While the store does not have such a
   * list, everybody is refused. Left out: no such lists.
   */
  readonly denyLists?: readonly string[] | undefined
}

export interface DomainProtection extends Protection, CorsSettings {
  /** Origins that are admitted: `https://example.org`, `https://*.example.org`. Empty admits nobody. */
  readonly domains: readonly string[]
  /**
   * What a request without evidence of a browser must show. `signed`: a signature that `serverOnly` accepts. `claim`: an
   * `X-Origin` that names one of the domains, which any program can write. `none`: nothing. Left out: `claim`.
   */
  readonly server?: 'signed' | 'claim' | 'none' | undefined
}

export interface ReturnUrlProtection extends Protection {
  /** URLs that are admitted: a string is a prefix on a segment boundary, `{ exact }` is one URL. Empty admits nothing. */
  readonly urls: readonly ReturnUrlText[]
}

export type ReturnUrlText = string | { readonly exact: string }

export interface RegionProtection extends Protection {
  /** What happens to a request of a person whose data must stay elsewhere. Default `reject`. */
  readonly onMisdirected: 'reject' | 'redirect' | 'handOver'
  /** The jurisdiction of persons without a usable country. Left out: they are refused. */
  readonly fallback?: string | undefined
}

export interface AuditProtection extends Protection {
  /** `deny`: no answer leaves before its events are kept. `allow`: it leaves, and the loss is reported. Default `deny`. */
  readonly onSinkFailure: 'deny' | 'allow'
}

/** A section as it is written: the mode is required, and everything else has a default. */
type Written<Section extends Protection> = Pick<Section, 'mode'> & {
  readonly [Name in keyof Section as Exclude<Name, 'mode'>]?: Section[Name] | undefined
}

/** The section of each guard as it is written. */
type WrittenSections = {
  readonly [Name in GuardName]?: Written<NonNullable<Policy[Name]>> | undefined
}

/**
 * A policy document as it is written: what `parsePolicy` and the stores take. Defaults may be left out. A section that is
 * left out refuses every request where its guard is mounted.
 */
export interface PolicyInput extends WrittenSections {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly appId: string
  /** A name for people, 1-200 characters. */
  readonly name?: string | undefined
}
