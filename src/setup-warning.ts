import { helpFor } from './errors.ts'

/** What can be wrong with the way that a server is set up. */
const WARNINGS = {
  PORTCULLIS_BODY_PARSER_AHEAD: [
    'A body parser ahead of `serverOnly` has read the body and kept no bytes, so no content digest can be checked: every ' +
      'signed request with content is refused.',
    'Mount `bodyParsers()` in place of `express.json()` and other parsers, or mount those behind `serverOnly`.',
  ],
  PORTCULLIS_CORS_BESIDE: [
    'Other middleware ahead of `domainProtect` writes CORS headers, such as `cors()`. It may answer preflights for every ' +
      'origin; its headers are removed from the answers that `domainProtect` sees.',
    'Remove the other middleware from these routes: `domainProtect` writes the CORS headers of allowed origins itself.',
  ],
  PORTCULLIS_GUARD_BEFORE_AUDIT: [
    'A guard is mounted ahead of `auditAccess`. The requests that it refuses are in no audit.',
    'Mount `auditAccess` first, or use `protect()`, which has the safe order.',
  ],
  PORTCULLIS_ROUTE_PARAMETER_MISSING: [
    '`appIdFrom({ param })` looks for a route parameter that the place where the guard is mounted does not have, so it ' +
      'finds no app.',
    'Make the router with `express.Router({ mergeParams: true })`, or mount the guard on a path that has the parameter.',
  ],
  PORTCULLIS_RAW_HEADERS_MISSING: [
    'The requests have no `rawHeaders`. An adapter has left them out, so headers that were sent twice cannot be told apart.',
    'Let the adapter fill in `rawHeaders`, or make sure that it joins no header lines.',
  ],
  PORTCULLIS_CLOCK_DIFFERS: [
    'The clock of this process and that of Redis differ by more than 10 seconds. Signatures may be refused as too old or ' +
      'too new.',
    'Synchronise the clocks of all servers (NTP).',
  ],
  PORTCULLIS_MEMORY_WITH_PROCESSES: [
    'Several processes serve this application, and each has nonces, events or policies in a memory of its own: a signed ' +
      'request can pass once for each process, and events and changes are seen by one process alone.',
    'Use `redisNonces`, `redisAuditSink` and `redisStore`, or other stores that all processes share.',
  ],
  PORTCULLIS_AUDIT_IN_MEMORY: [
    'The audit log keeps its frames in the memory of this process. It serves one process: others do not see its events, and ' +
      'without a spool they end with the process.',
    'Give `auditLog` a `spool`, or keep frames in Redis with `redisFrames`.',
  ],
  PORTCULLIS_AUDIT_ASYNC: [
    'The audit log is in the mode `async`: responses leave before their events are kept, so events can be lost.',
    'Use another `mode` of `auditLog` wherever the audit must be complete.',
  ],
  PORTCULLIS_ADEQUACY_ENDS: [
    'A location of `jurisdictions` may be used until a day that comes within 180 days: the decision ends by which it counts as ' +
      'adequate for the data of other countries.',
    'Find out whether the decision is renewed, and set the day in `until`; otherwise move the data to another location in time.',
  ],
  PORTCULLIS_ADEQUACY_ENDED: [
    'A location of `jurisdictions` is used after the day that `until` gives. It is still admitted.',
    'Set the new day in `until` if the decision was renewed; otherwise take the location out of `jurisdictions`.',
  ],
} as const satisfies Record<string, readonly [message: string, advice: string]>

export type SetupCode = keyof typeof WARNINGS

// One for both builds of the package, so that a process is told once.
const told: Set<string> = ((globalThis as { [key: symbol]: unknown })[
  Symbol.for('portcullis.setupWarnings')
] ??= new Set<string>()) as Set<string>

/** Whether the process was told of it. */
export function isTold(code: SetupCode): boolean {
  return told.has(code)
}

/** Tells the operators once per process. No warning holds anything that a caller has sent. */
export function warnOfSetup(code: SetupCode): void {
  if (told.has(code)) return
  told.add(code)
  emitWarning(code, WARNINGS[code])
}

/** As a warning of the process, which Node prints, and which `process.on('warning')` hands over. */
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
