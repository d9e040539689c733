import type { GuardName } from '../decision.ts'
import {
  AUDIT_ACCESS_EXPECTATIONS,
  auditAccessMount,
  describedAuditAccess,
  type AuditAccessOptions,
} from './audit-access.ts'
import {
  describedDomainProtect,
  DOMAIN_PROTECT_EXPECTATIONS,
  domainProtectMount,
  type DomainProtectOptions,
} from './domain-protect.ts'
import type { GuardRow } from './guard-row.ts'
import {
  describedIpWhitelist,
  IP_WHITELIST_EXPECTATIONS,
  ipWhitelistMount,
  type IpWhitelistOptions,
} from './ip-whitelist.ts'
import {
  describedRegionPin,
  REGION_PIN_EXPECTATIONS,
  regionPinIssues,
  regionPinMount,
  type RegionPinOptions,
} from './region-pin.ts'
import type { BodyParsersOptions } from './request/body-parsers.ts'
import {
  describedReturnUrlGuard,
  RETURN_URL_GUARD_EXPECTATIONS,
  returnUrlGuardMount,
  type ReturnUrlGuardOptions,
} from './return-url-guard.ts'
import {
  describedServerOnly,
  SERVER_ONLY_EXPECTATIONS,
  serverOnlyMount,
  type ServerOnlyOptions,
} from './server-only.ts'

/* The public guards. The table below is a default export because `export *` in the package does not re-export it. */
export { auditAccess, type AuditAccessHandler, type AuditAccessOptions } from './audit-access.ts'
export { domainProtect, type DomainProtectOptions } from './domain-protect.ts'
export { ipWhitelist, type IpWhitelistOptions } from './ip-whitelist.ts'
export { regionPin, type RegionPinOptions } from './region-pin.ts'
export { returnUrlGuard, type ReturnUrlGuardOptions } from './return-url-guard.ts'
export { serverOnly, type ServerOnlyOptions } from './server-only.ts'

/** The options of all six guards; see each guard. */
export interface ProtectOptions
  extends
    AuditAccessOptions,
    RegionPinOptions,
    IpWhitelistOptions,
    DomainProtectOptions,
    ServerOnlyOptions,
    ReturnUrlGuardOptions {
  /** The largest body that is read, in bytes: the option `limit` of `bodyParsers`. Default 102,400. */
  readonly bodyLimit?: BodyParsersOptions['limit']
  /** Media types besides JSON and forms whose bytes are kept: the option `keep` of `bodyParsers`. Default: no others. */
  readonly bodyKeep?: BodyParsersOptions['keep']
  /** Leaves JSON and forms readable for later parsers: the option `replay` of `bodyParsers`. Default false. */
  readonly bodyReplay?: BodyParsersOptions['replay']
  /** Uses the bytes in `req.rawBody`: the option `rawBody` of `bodyParsers`. Default false. */
  readonly rawBody?: BodyParsersOptions['rawBody']
}

/** All guards, in the safe order. The compiler reports a missing one. */
const GUARDS = {
  auditAccess: {
    expectations: AUDIT_ACCESS_EXPECTATIONS,
    mount: auditAccessMount,
    described: describedAuditAccess,
  },
  regionPin: {
    expectations: REGION_PIN_EXPECTATIONS,
    issues: regionPinIssues,
    mount: regionPinMount,
    readsBody: ({ country }) => typeof country === 'object',
    described: describedRegionPin,
  },
  ipWhitelist: {
    expectations: IP_WHITELIST_EXPECTATIONS,
    mount: ipWhitelistMount,
    described: describedIpWhitelist,
  },
  domainProtect: {
    expectations: DOMAIN_PROTECT_EXPECTATIONS,
    mount: (options) => domainProtectMount(options, true),
    described: describedDomainProtect,
  },
  serverOnly: {
    expectations: SERVER_ONLY_EXPECTATIONS,
    mount: serverOnlyMount,
    readsBody: () => true,
    described: describedServerOnly,
  },
  returnUrlGuard: {
    expectations: RETURN_URL_GUARD_EXPECTATIONS,
    mount: returnUrlGuardMount,
    readsBody: () => true,
    described: describedReturnUrlGuard,
  },
} satisfies Record<GuardName, GuardRow<ProtectOptions>>

export default GUARDS
