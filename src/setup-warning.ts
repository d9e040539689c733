import { helpFor } from './errors.ts'

/** Mistakes in the setup of a server, with advice. */
const WARNINGS = {
  PORTCULLIS_BODY_PARSER_AHEAD: [
    'A body parser before `serverOnly` has read the body without keeping its bytes, so content digests cannot be checked: every ' +
      'signed request with a body is refused.',
    'Mount `bodyParsers()` instead of `express.json()` and other parsers, or mount those after `serverOnly`.',
  ],
  PORTCULLIS_CORS_BESIDE: [
    'Middleware before `domainProtect`, such as `cors()`, writes CORS headers. It may answer preflights from every ' +
      'origin. `domainProtect` removes its headers from the responses that it handles.',
    'Remove the other middleware from these routes: `domainProtect` writes the CORS headers of allowed origins itself.',
  ],
  PORTCULLIS_GUARD_BEFORE_AUDIT: [
    'A guard is mounted before `auditAccess`, so the requests that it refuses are not audited.',
    'Mount `auditAccess` first, or use `protect()`, which has the safe order.',
  ],
  PORTCULLIS_ROUTE_PARAMETER_MISSING: [
    '`appIdFrom({ param })` looks for a route parameter that does not exist where the guard is mounted, so it ' +
      'finds no app.',
    'Create the router with `express.Router({ mergeParams: true })`, or mount the guard on a path that has the parameter.',
  ],
  PORTCULLIS_RAW_HEADERS_MISSING: [
    'The requests have no `rawHeaders`, because an adapter does not provide them. Duplicate headers cannot be recognised.',
    'Make the adapter provide `rawHeaders`, or make sure that it does not join header lines.',
  ],
  PORTCULLIS_CLOCK_DIFFERS: [
    'The clocks of this process and of Redis differ by more than 10 seconds. Signatures may be refused as too old or ' +
      'too new.',
    'Synchronise the clocks of all servers (NTP).',
  ],
  PORTCULLIS_MEMORY_WITH_PROCESSES: [
    'Several processes serve this application, and each keeps nonces, events or policies in its own memory: a signed ' +
      'request can pass once for each process, and events and changes are visible only in one process.',
    'Use `redisNonces`, `redisAuditSink` and `redisStore`, or other stores that all processes share.',
  ],
  PORTCULLIS_AUDIT_IN_MEMORY: [
    'The audit log keeps its frames in the memory of this process. Other processes do not see its events, and ' +
      'without a spool they are lost when the process ends.',
    'Give `auditLog` a `spool`, or keep frames in Redis with `redisFrames`.',
  ],
  PORTCULLIS_AUDIT_ASYNC: [
    'The audit log is in the mode `async`: responses are sent before their events are stored, so events can be lost.',
    'Use another `mode` of `auditLog` if the audit must be complete.',
  ],
  PORTCULLIS_ADEQUACY_ENDS: [
    'A location of `jurisdictions` may be used for less than 180 more days, because the decision that declares it ' +
      'adequate for the data of other countries ends.',
    'Find out whether the decision has been renewed, and set the new date in `until`; otherwise move the data to another location before that date.',
  ],
  PORTCULLIS_ADEQUACY_ENDED: [
    'A location of `jurisdictions` is used after its `until` date. It is still admitted.',
    'Set the new date in `until` if the decision has been renewed; otherwise remove the location from `jurisdictions`.',
  ],
} as const satisfies Record<string, readonly [message: string, advice: string]>

export type SetupCode = keyof typeof WARNINGS

// Both builds of the package share this set, so each warning appears once per process.
const told: Set<string> = ((globalThis as { [key: symbol]: unknown })[
  Symbol.for('portcullis.setupWarnings')
] ??= new Set<string>()) as Set<string>

/** Whether the warning was already emitted. */
export function isTold(code: SetupCode): boolean {
  return told.has(code)
}

/** Emits the warning once per process. No warning contains anything sent by a caller. */
export function warnOfSetup(code: SetupCode): void {
  if (told.has(code)) return
  told.add(code)
  emitWarning(code, WARNINGS[code])
}

/** Emits a process warning: Node prints it, and `process.on('warning')` receives it. */
export function emitWarning(
  code: string,
  [message, advice]: readonly [message: string, advice: string],
): void {
  process.emitWarning(message, {
    type: 'PortcullisWarning',
    code,
    detail: `${advice} See portcullis/${helpFor(code)}`,
  })
}
