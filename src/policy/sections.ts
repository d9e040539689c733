import { COMPARE_ADDRESSES } from './compare/addresses.ts'
import { COMPARE_AUDIT } from './compare/audit.ts'
import { COMPARE_DOMAINS } from './compare/domains.ts'
import { COMPARE_REGIONS } from './compare/regions.ts'
import { COMPARE_RETURN_URLS } from './compare/return-urls.ts'
import { COMPARE_SIGNATURES } from './compare/signatures.ts'
import type { Protection, Rules, Section } from './section.ts'
import { AUDIT_ACCESS, lintAuditAccess } from './sections/audit-access.ts'
import { DOMAIN_PROTECT, lintDomainProtect } from './sections/domain-protect.ts'
import { IP_WHITELIST, lintIpWhitelist } from './sections/ip-whitelist.ts'
import { lintRegionPin, REGION_PIN } from './sections/region-pin.ts'
import { lintReturnUrlGuard, RETURN_URL_GUARD } from './sections/return-url-guard.ts'
import { lintServerOnly, SERVER_ONLY } from './sections/server-only.ts'

/**
 * The section of every guard, in the order of a policy document. The types and names of guards, `Policy`, `PolicyInput` and
 * `CompiledPolicy` follow from this table.
 */
export const SECTIONS = {
  /** Admits signed requests, which come from the app's servers. */
  serverOnly: SERVER_ONLY,
  /** Admits client addresses. */
  ipWhitelist: IP_WHITELIST,
  /** Admits the origins of pages, and defines what CORS grants them. */
  domainProtect: DOMAIN_PROTECT,
  /** Admits URLs to which users are sent back. */
  returnUrlGuard: RETURN_URL_GUARD,
  /** Keeps requests about a person in that person's jurisdiction. */
  regionPin: REGION_PIN,
  /** Records every request, and every read of personal data. */
  auditAccess: AUDIT_ACCESS,
}

/**
 * The advice, points and comparison of every section. The points add up to 100. Separate from `SECTIONS`, so that an
 * application that only judges does not bundle the advice.
 */
export const RULES: { readonly [Name in keyof typeof SECTIONS]: Rules<WrittenBy<Name>, ListsBy<Name>> } = {
  serverOnly: {
    points: 20,
    modeIsEnough: true,
    reason: "only requests signed by the app's servers pass, so an app id alone is useless",
    lint: lintServerOnly,
    compare: COMPARE_SIGNATURES,
  },
  ipWhitelist: {
    points: 20,
    modeIsEnough: false,
    reason: 'a stolen key works only from the listed networks',
    lint: lintIpWhitelist,
    compare: COMPARE_ADDRESSES,
  },
  domainProtect: {
    points: 20,
    modeIsEnough: false,
    reason: 'foreign pages cannot call on behalf of the app',
    lint: lintDomainProtect,
    compare: COMPARE_DOMAINS,
  },
  returnUrlGuard: {
    points: 20,
    modeIsEnough: false,
    reason: 'attackers cannot redirect users to their own pages after sign-in',
    lint: lintReturnUrlGuard,
    compare: COMPARE_RETURN_URLS,
  },
  regionPin: {
    points: 10,
    modeIsEnough: true,
    reason: "personal data stays in the person's jurisdiction",
    lint: lintRegionPin,
    compare: COMPARE_REGIONS,
  },
  auditAccess: {
    points: 10,
    modeIsEnough: true,
    reason: 'every request and every read of personal data is recorded',
    lint: lintAuditAccess,
    compare: COMPARE_AUDIT,
  },
}

/** The name of a guard, which is also the name of its section in a policy. */
export type GuardName = keyof typeof SECTIONS

/** Every guard, in the order of a policy document. */
export const GUARD_NAMES = Object.keys(SECTIONS) as readonly GuardName[]

/** The section of a guard, for code that treats all guards alike. */
export function sectionOf(name: GuardName): Section<Protection> {
  return SECTIONS[name]
}

type Sections = typeof SECTIONS

/** The section of a guard in a `Policy`. */
export type WrittenBy<Name extends GuardName> =
  Sections[Name] extends Section<infer Written, infer _Compiled, infer _Lists> ? Written : never

/** The section of a guard, in the form that the guard reads. */
export type CompiledBy<Name extends GuardName> =
  Sections[Name] extends Section<infer _Written, infer Compiled, infer _Lists> ? Compiled : never

/** The lists of entries of a section. */
export type ListsBy<Name extends GuardName> =
  Sections[Name] extends Section<infer _Written, infer _Compiled, infer Lists> ? Lists : never

/** Every section of a `Policy`. */
export type WrittenSections = { readonly [Name in keyof Sections]?: WrittenBy<Name> | undefined }

/** Every section, in the form that its guard reads. */
export type CompiledSections = { readonly [Name in keyof Sections]?: CompiledBy<Name> | undefined }

/** The lists of entries of every section. */
export type ReadSections = { readonly [Name in keyof Sections]?: ListsBy<Name> | undefined }
