import { checkOptions, type Expectation } from '../options.ts'
import { withMeans } from './audit-access.ts'
import type { GuardRow } from './guard-row.ts'
import GUARDS, { type AuditAccessHandler, type ProtectOptions } from './guards.ts'
import type { RequestHandler } from './handler.ts'
import { needsBody } from './request/app-id.ts'
import { bodyParsers, BODY_PARSERS_EXPECTATIONS } from './request/body-parsers.ts'
import { SHARED_EXPECTATIONS } from './shared-options.ts'
import type { NodeFacts } from './request/facts.ts'
import { chain } from './shell.ts'
import type { Step } from './step.ts'

/** All options. This is a function because a bundler then omits the guards that an application does not mount. */
export function protectExpectations(): Readonly<Record<keyof ProtectOptions, Expectation>> {
  const rows: readonly GuardRow<ProtectOptions>[] = Object.values(GUARDS)
  const { limit, keep, replay, rawBody } = BODY_PARSERS_EXPECTATIONS
  const bodies = { bodyLimit: limit, bodyKeep: keep, bodyReplay: replay, rawBody }
  const ofGuards = Object.assign({}, ...rows.map(({ expectations }) => expectations)) as object
  return { ...SHARED_EXPECTATIONS, ...ofGuards, ...bodies } as Record<keyof ProtectOptions, Expectation>
}

/**
 * All six guards as one handler, in the safe order: audit, region, address, domain, then the body parsers, server and return URL.
 * The body is read only after the guards before the parsers have admitted the request. A parser error is recorded in the audit,
 * and an allowed page can read it. The order differs only if the body contains the `country` (`regionPin` then runs after the
 * parsers) or the `appId` (the body is then read first). For routes without a return URL or a person, mount the guards one by one
 * instead, because each guard judges every request.
 *
 * If a request names an app that does not exist, the first guard refuses it like a wrong signature.
 *
 * @throws ConfigError
 */
export function protect(options: ProtectOptions): AuditAccessHandler {
  return protectChain('protect', checkProtectOptions('protect', options))
}

/** @throws ConfigError with all issues, also those of combined options */
export function checkProtectOptions(name: string, options: unknown): Readonly<ProtectOptions> {
  const rows: readonly GuardRow<ProtectOptions>[] = Object.values(GUARDS)
  return checkOptions<ProtectOptions>(name, options, protectExpectations(), undefined, (given) =>
    rows.flatMap((row) => row.issues?.(given, name) ?? []),
  )
}

/**
 * @param name the name of the options in an error
 * @param beforeBody handlers between the guards that need no body and the parsers
 */
export function protectChain(
  name: string,
  settings: ProtectOptions,
  beforeBody: readonly RequestHandler[] = [],
): AuditAccessHandler {
  const { auditAccess, ...others } = GUARDS
  const audit = auditAccess.mount(settings, name)
  const rows: readonly GuardRow<ProtectOptions>[] = Object.values(others)
  const stepsOf = (readsBody: boolean): Step[] =>
    rows
      .filter((row) => (row.readsBody?.(settings) ?? false) === readsBody)
      .map(({ mount }) => mount(settings, name))
  const { bodyLimit, bodyKeep, bodyReplay, rawBody } = settings
  const parser = bodyParsers({ limit: bodyLimit, keep: bodyKeep, replay: bodyReplay, rawBody })
  const body: Step[] = [
    ...beforeBody.map((pass) => ({ pass })),
    { pass: parser, isNeeded: ({ mayHaveContent }: NodeFacts) => mayHaveContent },
  ]
  const [ahead, behind] = needsBody(settings.appId) ? [body, []] : [[], body]
  return withMeans(
    chain(name, [...ahead, audit, ...stepsOf(false), ...behind, ...stepsOf(true)], settings),
    audit,
  )
}
