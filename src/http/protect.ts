import { checkOptions, type Expectation } from '../options.ts'
import { auditAccess, type AuditAccessOptions } from './audit-access.ts'
import { domainProtect } from './domain-protect.ts'
import { ipWhitelist, type IpWhitelistOptions } from './ip-whitelist.ts'
import { regionPin, type RegionPinOptions } from './region-pin.ts'
import type { RequestHandler } from './handler.ts'
import { returnUrlGuard, type ReturnUrlGuardOptions } from './return-url-guard.ts'
import { serverOnly, type ServerOnlyOptions } from './server-only.ts'

/** The options of all six guards together; see each of them. */
export interface ProtectOptions
  extends
    AuditAccessOptions,
    RegionPinOptions,
    IpWhitelistOptions,
    ServerOnlyOptions,
    ReturnUrlGuardOptions {}

/**
 * All six guards in the right order: audit, region, address, domain, server, return URL. Mount `bodyParsers()` ahead of
 * them. For routes that have no return URL or concern no person, mount the guards one by one instead: each asks its
 * question of every request.
 *
 * @throws ConfigError
 */
export function protect(options: ProtectOptions): RequestHandler[] {
  checkOptions('protect', options, ALL)
  return [
    auditAccess(pick(options, AUDIT)),
    regionPin(pick(options, REGION)),
    ipWhitelist(pick(options, ADDRESS)),
    domainProtect(pick(options, [])),
    serverOnly(pick(options, SERVER)),
    returnUrlGuard(pick(options, RETURN_URL)),
  ]
}

const SHARED = ['policies', 'appId', 'onDeny', 'onReport', 'requestId'] as const
const AUDIT = [
  'sink',
  'pseudonymKey',
  'actor',
  'operation',
  'sinkTimeout',
  'maxBacklog',
  'onError',
  'clientAddress',
] as const
const REGION = ['here', 'country', 'jurisdictions', 'bases', 'handOver'] as const
const ADDRESS = ['clientAddress'] as const
const SERVER = [
  'nonces',
  'authority',
  'explainMismatch',
  'scheme',
  'nonceTimeout',
  'keyExpiryWarning',
  'now',
] as const
const RETURN_URL = ['returnUrl', 'relativeTo', 'reserved'] as const

const ANYTHING: Expectation = { expected: 'given', accepts: () => true }

/** Names only: each guard checks its own values. */
const ALL: Readonly<Record<string, Expectation>> = Object.fromEntries(
  [...SHARED, ...AUDIT, ...REGION, ...ADDRESS, ...SERVER, ...RETURN_URL].map((name) => [name, ANYTHING]),
)

type SharedName = (typeof SHARED)[number]

function pick<Name extends keyof ProtectOptions>(
  options: ProtectOptions,
  names: readonly Name[],
): Pick<ProtectOptions, Name | SharedName> {
  const picked = [...SHARED, ...names].map((name) => [name, options[name]])
  return Object.fromEntries(picked) as Pick<ProtectOptions, Name | SharedName>
}
