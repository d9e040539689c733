import type { Expectation, ExpectationInput } from './expectation.ts'
import type { Protection } from './section.ts'
import type { WrittenSections } from './sections.ts'

export type { ReturnUrlText } from '../match/return-url.ts'
export type { AuditProtection } from './sections/audit-access.ts'
export type { DomainProtection } from './sections/domain-protect.ts'
export type { IpWhitelistProtection } from './sections/ip-whitelist.ts'
export type { RegionProtection } from './sections/region-pin.ts'
export type { ReturnUrlProtection } from './sections/return-url-guard.ts'
export type { ServerOnlyProtection } from './sections/server-only.ts'

/**
 * The policy document of one app, checked, completed with its defaults and in canonical form. Made only by `parsePolicy`;
 * deeply frozen. To write one, see {@link PolicyInput}.
 */
export interface Policy extends WrittenSections {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly appId: string
  readonly name?: string | undefined
  readonly expect?: readonly Expectation[] | undefined
}

/** A section as it is written: the mode is required, and everything else has a default. */
type Written<Section extends Protection> = Pick<Section, 'mode'> & {
  readonly [Name in keyof Section as Exclude<Name, 'mode'>]?: Section[Name] | undefined
}

/** The section of each guard as it is written. */
type InputSections = {
  readonly [Name in keyof WrittenSections]?: Written<NonNullable<WrittenSections[Name]>> | undefined
}

/**
 * A policy document as it is written: the input of `parsePolicy` and the stores. Defaults may be left out. A section that is left
 * out refuses every request where its guard is mounted.
 */
export interface PolicyInput extends InputSections {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly appId: string
  /** A display name, 1-200 characters. */
  readonly name?: string | undefined
  /** How the policy must decide on some requests, at most 100. A checked write is refused if one of them fails. */
  readonly expect?: readonly ExpectationInput[] | undefined
}
