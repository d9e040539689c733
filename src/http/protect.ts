import type { GuardName } from '../decision.ts'
import { checkOptions, type Expectation } from '../options.ts'
import {
  AUDIT_ACCESS_EXPECTATIONS,
  auditAccessMount,
  withMeans,
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
import { bodyParsers, BODY_PARSERS_EXPECTATIONS, type BodyParsersOptions } from './request/body-parsers.ts'
import {
  RETURN_URL_GUARD_EXPECTATIONS,
  returnUrlGuardMount,
  type ReturnUrlGuardOptions,
} from './return-url-guard.ts'
import { SERVER_ONLY_EXPECTATIONS, serverOnlyMount, type ServerOnlyOptions } from './server-only.ts'
import { SHARED_EXPECTATIONS } from './shared-options.ts'
import { chain, type Step } from './shell.ts'
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

/** One guard of the chain. */
interface Row {
  readonly expectations: Readonly<Record<string, Expectation>>
  mount(options: ProtectOptions, name: string): Step
  /** Whether it is asked behind the body parsers. Default: it is not. */
  readsBody?(options: ProtectOptions): boolean
}

/** Every guard, in the safe order. The compiler names one that is missing. */
const GUARDS = {
  auditAccess: { expectations: AUDIT_ACCESS_EXPECTATIONS, mount: auditAccessMount },
  regionPin: {
    expectations: REGION_PIN_EXPECTATIONS,
    mount: regionPinMount,
    readsBody: ({ country }) => typeof country !== 'function',
  },
  ipWhitelist: { expectations: IP_WHITELIST_EXPECTATIONS, mount: ipWhitelistMount },
  domainProtect: {
    expectations: DOMAIN_PROTECT_EXPECTATIONS,
    mount: (options) => domainProtectMount(options, true),
  },
  serverOnly: { expectations: SERVER_ONLY_EXPECTATIONS, mount: serverOnlyMount, readsBody: () => true },
  returnUrlGuard: {
    expectations: RETURN_URL_GUARD_EXPECTATIONS,
    mount: returnUrlGuardMount,
    readsBody: () => true,
  },
} satisfies Record<GuardName, Row>

/** All options. A function, so that a bundler leaves out the guards that an application does not mount. */
export function protectExpectations(): Readonly<Record<keyof ProtectOptions, Expectation>> {
  const rows: readonly Row[] = Object.values(GUARDS)
  const { limit, keep, replay, rawBody } = BODY_PARSERS_EXPECTATIONS
  const bodies = { bodyLimit: limit, bodyKeep: keep, bodyReplay: replay, rawBody }
  const ofGuards = Object.assign({}, ...rows.map(({ expectations }) => expectations)) as object
  return { ...SHARED_EXPECTATIONS, ...ofGuards, ...bodies } as Record<keyof ProtectOptions, Expectation>
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
  return protectChain('protect', checkOptions<ProtectOptions>('protect', options, protectExpectations()))
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
  const { auditAccess, ...others } = GUARDS
  const audit = auditAccess.mount(settings, name)
  const rows: readonly Row[] = Object.values(others)
  const stepsOf = (readsBody: boolean): Step[] =>
    rows
      .filter((row) => (row.readsBody?.(settings) ?? false) === readsBody)
      .map(({ mount }) => mount(settings, name))
  const { bodyLimit, bodyKeep, bodyReplay, rawBody } = settings
  const parsers = bodyParsers({ limit: bodyLimit, keep: bodyKeep, replay: bodyReplay, rawBody })
  const body = [...beforeBody, ...parsers].map((pass) => ({ pass }))
  const [ahead, behind] = needsBody(settings.appId) ? [body, []] : [[], body]
  return withMeans(
    chain(name, [...ahead, audit, ...stepsOf(false), ...behind, ...stepsOf(true)], settings),
    audit,
  )
}
