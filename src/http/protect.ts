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
import { bodyParsers, BODY_PARSERS_EXPECTATIONS, type BodyParsersOptions } from './request/body-parsers.ts'
import {
  RETURN_URL_GUARD_EXPECTATIONS,
  returnUrlGuardMount,
  type ReturnUrlGuardOptions,
} from './return-url-guard.ts'
import { SERVER_ONLY_EXPECTATIONS, serverOnlyMount, type ServerOnlyOptions } from './server-only.ts'
import { chain, SHARED_EXPECTATIONS, type Step } from './shell.ts'
import type { RequestHandler } from './handler.ts'

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
  readonly bodyLimit?: BodyParsersOptions['limit']
  /** Media types besides JSON and forms whose bytes are kept; as `keep` of `bodyParsers`. Default none. */
  readonly bodyKeep?: BodyParsersOptions['keep']
  /** Leaves JSON and forms to be read again; as `replay` of `bodyParsers`. Default false. */
  readonly bodyReplay?: BodyParsersOptions['replay']
  /** Takes the bytes in `req.rawBody`; as `rawBody` of `bodyParsers`. Default false. */
  readonly rawBody?: BodyParsersOptions['rawBody']
}

export const PROTECT_EXPECTATIONS: Readonly<Record<keyof ProtectOptions, Expectation>> = {
  ...SHARED_EXPECTATIONS,
  ...AUDIT_ACCESS_EXPECTATIONS,
  ...REGION_PIN_EXPECTATIONS,
  ...IP_WHITELIST_EXPECTATIONS,
  ...DOMAIN_PROTECT_EXPECTATIONS,
  ...SERVER_ONLY_EXPECTATIONS,
  ...RETURN_URL_GUARD_EXPECTATIONS,
  bodyLimit: BODY_PARSERS_EXPECTATIONS.limit,
  bodyKeep: BODY_PARSERS_EXPECTATIONS.keep,
  bodyReplay: BODY_PARSERS_EXPECTATIONS.replay,
  rawBody: BODY_PARSERS_EXPECTATIONS.rawBody,
}

/**
 * All six guards as one handler, in the safe order: audit, region, address, domain, then the body parsers, server and
 * return URL. A body is read only of a request that the guards before it have let pass, and an error of a parser is in the
 * audit and readable by an allowed page. For routes that have no return URL or concern no person, mount the guards one by
 * one instead: each asks its question of every request.
 *
 * A request that names an app which does not exist gets the answer of a wrong signature from the first guard on.
 *
 * @throws ConfigError
 */
export function protect(options: ProtectOptions): AuditAccessHandler {
  return protectChain('protect', checkOptions<ProtectOptions>('protect', options, PROTECT_EXPECTATIONS))
}

/**
 * @param name What the options are called in an error.
 * @param beforeBody What comes between the guards that need no body and the parsers.
 */
export function protectChain(
  name: string,
  settings: ProtectOptions,
  beforeBody: readonly RequestHandler[] = [],
): AuditAccessHandler {
  const { bodyLimit, bodyKeep, bodyReplay, rawBody } = settings
  const parsers = bodyParsers({ limit: bodyLimit, keep: bodyKeep, replay: bodyReplay, rawBody })
  const audit = auditAccessMount(settings, name)
  const steps: readonly Step[] = [
    audit,
    regionPinMount(settings, name),
    ipWhitelistMount(settings, name),
    domainProtectMount(settings),
    ...[...beforeBody, ...parsers].map((pass) => ({ pass })),
    serverOnlyMount(settings),
    returnUrlGuardMount(settings, name),
  ]
  return withEnd(chain(name, steps, settings), audit)
}
