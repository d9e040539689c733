const brand = Symbol.for('portcullis.error')

/** Base of everything that Portcullis throws. Recognise it by {@link isPortcullisError}, which also works across the ESM and CommonJS builds. */
export abstract class PortcullisError extends Error {
  /** Stable and machine-readable. */
  abstract readonly code: string
  readonly [brand] = true
}

/** Whether `value` is an error of this package, whichever build made it. */
export function isPortcullisError(value: unknown): value is PortcullisError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true
}

/** An option was refused at construction. */
export class ConfigError extends PortcullisError {
  readonly code = 'CONFIG_INVALID'
  override readonly name = 'ConfigError'
  /** Name of the option, with its path: `ipWhitelist.onDeny`. */
  readonly option: string
  /** What is expected of it. */
  readonly expected: string

  /** `given` is shown in the message; pass `SECRET` for values that must not appear anywhere. */
  constructor(option: string, expected: string, given: unknown) {
    super(
      `\`${option}\` must be ${expected}, got ${given === SECRET ? 'another value (not shown)' : show(given)}`,
    )
    this.option = option
    this.expected = expected
  }
}

/** Stands for a value that must not appear in an error. */
export const SECRET: unique symbol = Symbol('secret')

/** One reason why a policy document was refused. */
export interface PolicyIssue {
  /** Where: `ipWhitelist.ranges[3]`; empty for the document itself. */
  readonly path: string
  /** Why, as a phrase: `host bits are set`. */
  readonly message: string
  /** The spelling that would have been taken, where there is one. */
  readonly corrected?: string | undefined
}

/** A policy document, or a named list, was refused. All reasons are in `issues`, in document order. */
export class PolicyError extends PortcullisError {
  readonly code = 'POLICY_INVALID'
  override readonly name = 'PolicyError'
  readonly issues: readonly PolicyIssue[]

  constructor(issues: readonly PolicyIssue[], what: 'policy' | 'list' = 'policy') {
    super(`${what} refused: ${issues.map(sayIssue).join('; ')}`)
    this.issues = issues
  }
}

/** The revision to be replaced is not the current one. Nothing was written. */
export class RevisionConflict extends PortcullisError {
  readonly code = 'REVISION_CONFLICT'
  override readonly name = 'RevisionConflict'
  /** The app; the name of the list, where a list was written. */
  readonly appId: string
  /** The revision that the write named; 0 means "there is none yet". */
  readonly expected: number
  /** The revision that is stored; 0 when there is none. */
  readonly actual: number

  constructor(appId: string, expected: number, actual: number, what: 'app' | 'list' = 'app') {
    super(`${what} \`${appId}\` is at revision ${actual}, the write expected ${expected}`)
    this.appId = appId
    this.expected = expected
    this.actual = actual
  }
}

/** Something outside could not be asked or did not answer in time. It says nothing about what is stored there. */
export class UnavailableError extends PortcullisError {
  readonly code = 'UNAVAILABLE'
  override readonly name = 'UnavailableError'
}

/** What is stored of one app was read and cannot be used: it is damaged, or sealed by a key that is not at hand. */
export class UnreadableError extends UnavailableError {
  /** Marks it across the ESM and CommonJS builds. */
  readonly unreadable = true
}

/** Whether the store has looked, and could not use what it found. */
export function isUnreadable(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && (error as Partial<UnreadableError>).unreadable === true
  )
}

function sayIssue({ path, message, corrected }: PolicyIssue): string {
  const where = path === '' ? 'the document' : `\`${path}\``
  return `${where}: ${message}${corrected === undefined ? '' : `; write \`${corrected}\``}`
}

/** A short, safe rendering of any value for an error message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value)
    return keys.length === 0 ? 'an empty object' : `an object with ${keys.slice(0, 5).join(', ')}`
  }
  return String(value)
}
