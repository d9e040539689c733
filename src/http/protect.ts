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

/** All options. A function, so that a bundler leaves out the guards that an application does not mount. */
export function protectExpectations(): Readonly<Record<keyof ProtectOptions, Expectation>> {
  const rows: readonly GuardRow<ProtectOptions>[] = Object.values(GUARDS)
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
  return protectChain('protect', checkProtectOptions('protect', options))
}

/** @throws ConfigError with everything that is wrong, also with options beside others. */
export function checkProtectOptions(name: string, options: unknown): Readonly<ProtectOptions> {
  const rows: readonly GuardRow<ProtectOptions>[] = Object.values(GUARDS)
  return checkOptions<ProtectOptions>(name, options, protectExpectations(), undefined, (given) =>
    rows.flatMap((row) => row.issues?.(given, name) ?? []),
  )
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
