import { checkOptions, type Expectation } from '../options.ts'
import {
  AUDIT_ACCESS_EXPECTATIONS,
  auditAccessMount,
  withEnd,
  type AuditAccessHandler,
  type AuditAccessOptions,
} from './audit-access.ts'
import {
  DOMAIN_PROTECT_EXPECTATIONS,
  domainProtectMount,
  type DomainProtectOptions,
} from './domain-protect.ts'
import { IP_WHITELIST_EXPECTATIONS, ipWhitelistMount, type IpWhitelistOptions } from './ip-whitelist.ts'
import { REGION_PIN_EXPECTATIONS, regionPinMount, type RegionPinOptions } from './region-pin.ts'
import { needsBody } from './request/app-id.ts'
import { bodyParsers, BODY_PARSERS_EXPECTATIONS } from './request/body-parsers.ts'
import {
  RETURN_URL_GUARD_EXPECTATIONS,
  returnUrlGuardMount,
  type ReturnUrlGuardOptions,
} from './return-url-guard.ts'
import { SERVER_ONLY_EXPECTATIONS, serverOnlyMount, type ServerOnlyOptions } from './server-only.ts'
import { SHARED_EXPECTATIONS } from './shared-options.ts'
import { chain } from './shell.ts'

/** The options of all six guards together; see each of them. */
export interface ProtectOptions
  extends
    AuditAccessOptions,
    RegionPinOptions,
    IpWhitelistOptions,
    DomainProtectOptions,
    ServerOnlyOptions,
    ReturnUrlGuardOptions {
  /** The largest body that is read, in bytes; as the `limit` of `bodyParsers`. Default 102 400. */
  readonly bodyLimit?: number | undefined
}

const ALL: Readonly<Record<keyof ProtectOptions, Expectation>> = {
  ...SHARED_EXPECTATIONS,
  ...AUDIT_ACCESS_EXPECTATIONS,
  ...REGION_PIN_EXPECTATIONS,
  ...IP_WHITELIST_EXPECTATIONS,
  ...DOMAIN_PROTECT_EXPECTATIONS,
  ...SERVER_ONLY_EXPECTATIONS,
  ...RETURN_URL_GUARD_EXPECTATIONS,
  bodyLimit: BODY_PARSERS_EXPECTATIONS.limit,
}

/**
 * All six guards as one handler, in the safe order: audit, region, address, domain, then the body parsers, server and
 * return URL. A body is read only of a request that the guards before it have let pass, and an error of a parser is in the
 * audit and readable by an allowed page. Only what the body says itself comes later (a `country`), or makes it come first (an
 * `appId`). For routes that have no return URL or concern no person, mount the guards one by
 * one instead: each asks its question of every request.
 *
 * A request that names an app which does not exist gets the answer of a wrong signature from the first guard on.
 *
 * @throws ConfigError
 */
export function protect(options: ProtectOptions): AuditAccessHandler {
  const settings = checkOptions<ProtectOptions>('protect', options, ALL)
  const audit = auditAccessMount(settings, 'protect')
  const parsers = bodyParsers({ limit: settings.bodyLimit }).map((pass) => ({ pass }))
  const region = regionPinMount(settings, 'protect')
  const regionAfterBody = typeof settings.country !== 'function'
  const bodyFirst = needsBody(settings.appId)
  const steps = [
    ...(bodyFirst ? parsers : []),
    audit,
    ...(regionAfterBody ? [] : [region]),
    ipWhitelistMount(settings, 'protect'),
    domainProtectMount(settings, true),
    ...(bodyFirst ? [] : parsers),
    ...(regionAfterBody ? [region] : []),
    serverOnlyMount(settings),
    returnUrlGuardMount(settings, 'protect'),
  ]
  return withEnd(chain('protect', steps, settings), audit)
}
