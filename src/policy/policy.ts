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
 * The policy document of one app: valid, in canonical form and with all defaults. Deeply frozen. Only `parsePolicy` creates
 * it. To write one, see {@link PolicyInput}.
 */
export interface Policy extends WrittenSections {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly appId: string
  readonly name?: string | undefined
  readonly expect?: readonly Expectation[] | undefined
}

/** A section as its owner writes it: the mode is required, and everything else has a default. */
type Written<Section extends Protection> = Pick<Section, 'mode'> & {
  readonly [Name in keyof Section as Exclude<Name, 'mode'>]?: Section[Name] | undefined
}

/** The section of each guard, as its owner writes it. */
type InputSections = {
  readonly [Name in keyof WrittenSections]?: Written<NonNullable<WrittenSections[Name]>> | undefined
}

/**
 * A policy document as its owner writes it: the input of `parsePolicy` and of the stores. Defaults may be left out. If a
 * section is left out and its guard is mounted, the guard refuses every request.
 */
export interface PolicyInput extends InputSections {
  /** The JSON Schema of this document, for editors. `parsePolicy` drops it. */
  readonly $schema?: string | undefined
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  readonly appId: string
  /** A display name, 1-200 characters. */
  readonly name?: string | undefined
  /** How the policy must decide some requests, at most 100. A checked write is refused if an expectation fails. */
  readonly expect?: readonly ExpectationInput[] | undefined
}
