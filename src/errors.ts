const brand = Symbol.for('portcullis.error')

/**
 * Base class of all errors that Portcullis throws. Recognise one with {@link isPortcullisError}, which also works across two
 * copies of the package. Each class also sets `static name`, because Node prints it and the build shortens class names.
 */
export abstract class PortcullisError extends Error {
  /** Stable and machine-readable. */
  abstract readonly code: string
  /** Where the code is explained, relative to the root of the package: `docs/codes.md#config_invalid`. */
  abstract readonly help: string
  readonly [brand] = true
}

/** Where a code is explained: `docs/codes.md#config_invalid`. */
export function helpFor(code: string): string {
  return `docs/codes.md#${code.toLowerCase()}`
}

/** Whether `value` is an error of this package, or of another copy of it. */
export function isPortcullisError(value: unknown): value is PortcullisError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true
}

/** One thing that is wrong with the options of a call. */
export interface ConfigIssue {
  /** Stable and machine-readable. */
  readonly code: 'OPTION_UNKNOWN' | 'OPTION_MISSING' | 'OPTION_INVALID'
  /** The option, with its path: `ipWhitelist.onDeny`. */
  readonly option: string
  /** What is expected, as a phrase: `a function`. */
  readonly expected: string
  /** The whole message: what is wrong, where, what was given and how to fix it. */
  readonly message: string
}

/** Options were refused at construction. `issues` and the message list everything that is wrong with them. */
export class ConfigError extends PortcullisError {
  readonly code = 'CONFIG_INVALID'
  static override readonly name: string = 'ConfigError'
  override readonly name = 'ConfigError'
  override readonly help = helpFor('CONFIG_INVALID')
  /** All issues of the call, in the order of its options. */
  readonly issues: readonly ConfigIssue[]
  /** The option of the first issue, with its path: `ipWhitelist.onDeny`. */
  readonly option: string
  /** What the option must be, as a phrase. */
  readonly expected: string

  /** One issue: the option, what it must be (a phrase), and the given value (`SECRET` if it must not be shown). */
  constructor(option: string, expected: string, given: unknown)
  /** Any number of issues, at least one. */
  constructor(issues: readonly [ConfigIssue, ...ConfigIssue[]])
  constructor(
    first: string | readonly [ConfigIssue, ...ConfigIssue[]],
    ...[expected = '', given]: [expected?: string, given?: unknown]
  ) {
    const issues = typeof first === 'string' ? ([wrongOption(first, expected, given)] as const) : first
    super(issues.map(({ message }) => message).join('; '))
    this.issues = issues
    this.option = issues[0].option
    this.expected = issues[0].expected
  }
}

/** A function in place of what it returns, or a class in place of an instance. */
function usualHint(given: unknown): string {
  if (typeof given !== 'function') return ''
  const isClass = Function.prototype.toString.call(given).startsWith('class')
  return isClass ? '; create one with `new`' : '; call it'
}

/** The issue of an option that is missing or has a wrong value. `hint` is appended to the message unchanged. */
export function wrongOption(
  option: string,
  expected: string,
  given: unknown,
  hint: string = usualHint(given),
): ConfigIssue {
  if (given === undefined) {
    const message = `\`${option}\` is missing: give ${expected}${hint}`
    return { code: 'OPTION_MISSING', option, expected, message }
  }
  const got = given === SECRET ? 'a value that is not shown here, because it may be secret' : show(given)
  const message = `\`${option}\` must be ${expected}, got ${got}${hint}`
  return { code: 'OPTION_INVALID', option, expected, message }
}

/** The package was used wrongly at run time: a function was called where it cannot work. */
export class UsageError extends PortcullisError {
  readonly code = 'USAGE_INVALID'
  static override readonly name: string = 'UsageError'
  override readonly name = 'UsageError'
  override readonly help = helpFor('USAGE_INVALID')
}

/** A member of staff accessed personal data without stating a purpose. Express responds with its `status`, 403. */
export class PurposeRequired extends PortcullisError {
  readonly code = 'PURPOSE_REQUIRED'
  static override readonly name: string = 'PurposeRequired'
  override readonly name = 'PurposeRequired'
  override readonly help = helpFor('PURPOSE_REQUIRED')
  readonly status = 403

  constructor() {
    super(
      'a member of staff needs a purpose to access personal data: state it with the option `why`, or with `audit.because(purpose)`',
    )
  }
}

/** Placeholder for a value that must not appear in an error. */
export const SECRET: unique symbol = Symbol('secret')

/** One reason why a policy document, or a named list, was refused. */
export interface PolicyIssue {
  /** Stable and machine-readable. `VALUE_INVALID` if no other code fits. */
  readonly code?: 'KEY_UNKNOWN' | 'VALUE_MISSING' | 'VALUE_INVALID' | 'ENTRY_INVALID' | undefined
  /** Where: `ipWhitelist.ranges[3]`; empty for the document itself. */
  readonly path: string
  /** Why, as a phrase: `host bits are set`. */
  readonly message: string
  /** The refused entry of a list in quotes, without what may be secret. Left out for other values. */
  readonly given?: string | undefined
  /** The spelling that would be accepted, if there is one. */
  readonly corrected?: string | undefined
}

/** Which document was refused. */
export interface RefusedDocument {
  readonly appId?: string | undefined
  /** Its place in a call, as a phrase: `documents[1]` of `memoryStore`, with the backticks. */
  readonly place?: string | undefined
}

/** A policy document, or a named list, was refused. Every reason is in `issues`, in the order of the document. */
export class PolicyError extends PortcullisError {
  readonly code = 'POLICY_INVALID'
  static override readonly name: string = 'PolicyError'
  override readonly name = 'PolicyError'
  override readonly help = helpFor('POLICY_INVALID')
  readonly issues: readonly PolicyIssue[]

  constructor(
    issues: readonly PolicyIssue[],
    what: 'policy' | 'list' = 'policy',
    { appId, place }: RefusedDocument = {},
  ) {
    const owner = appId === undefined ? '' : ` of app \`${appId}\``
    const where = place === undefined ? '' : ` (${place})`
    super(`${what}${owner} refused${where}: ${issues.map(sayIssue).join('; ')}`)
    this.issues = issues
  }
}

/** An expectation that a policy does not meet. Only for operators, because it contains details of the policy. */
export interface BrokenExpectation {
  /** The name of the expectation in the policy. */
  readonly name: string
  /** `allow`, `deny`, or the code of a refusal. */
  readonly expected: string
  /** `allow`, or the code of the refusal. */
  readonly got: string
  /** The guard that decided, and why: `ipWhitelist: the address is outside every range`. */
  readonly reason: string
  /** The request that was judged. */
  readonly request: object
}

/** A policy fails its own expectations. Nothing was written. */
export class ExpectationBroken extends PortcullisError {
  readonly code = 'EXPECTATION_BROKEN'
  static override readonly name: string = 'ExpectationBroken'
  override readonly name = 'ExpectationBroken'
  override readonly help = helpFor('EXPECTATION_BROKEN')
  readonly appId: string
  /** All expectations that the policy does not meet, in the order of the document. */
  readonly failures: readonly BrokenExpectation[]

  constructor(appId: string, failures: readonly BrokenExpectation[]) {
    const cases = failures.map(
      ({ name, expected, got, reason }) =>
        `${JSON.stringify(name)} expects ${expected}, got ${got}${reason === '' ? '' : ` (${reason})`}`,
    )
    super(`the policy of app \`${appId}\` does not meet its expectations: ${cases.join('; ')}`)
    this.appId = appId
    this.failures = failures
  }
}

/** A write named a revision that is not the current one. Nothing was written. */
export class RevisionConflict extends PortcullisError {
  readonly code = 'REVISION_CONFLICT'
  static override readonly name: string = 'RevisionConflict'
  override readonly name = 'RevisionConflict'
  override readonly help = helpFor('REVISION_CONFLICT')
  /** The id of the app, or the name of the list if a list was written; empty for the record of a person. */
  readonly appId: string
  /** The revision that the write named; 0 means that nothing is stored yet. */
  readonly expected: number
  /** The stored revision; 0 if nothing is stored. */
  readonly actual: number

  constructor(appId: string, expected: number, actual: number, what: 'app' | 'list' | 'person' = 'app') {
    // An error never contains the id of a person, because error reports may be stored anywhere.
    const which = what === 'person' ? 'the record of the person' : `${what} \`${appId}\``
    super(`${which} is at revision ${actual}, the write expected ${expected}`)
    this.appId = what === 'person' ? '' : appId
    this.expected = expected
    this.actual = actual
  }
}

/** A store or another service could not be reached, or did not answer in time. This says nothing about its data. */
export class UnavailableError extends PortcullisError {
  readonly code = 'UNAVAILABLE'
  static override readonly name: string = 'UnavailableError'
  override readonly name = 'UnavailableError'
  override readonly help = helpFor('UNAVAILABLE')
}

/** A stored value was read but cannot be used: it is damaged, or sealed with a key that is not available. */
export class UnreadableError extends UnavailableError {
  /** Marks the error across the ESM and CommonJS builds. */
  readonly unreadable = true
}

/** Why a vault cannot open a sealed string. */
export type SealedReason =
  'SEALED_DAMAGED' | 'SEALED_CHANGED' | 'SEALED_KEY_UNKNOWN' | 'SEALED_KEY_DESTROYED' | 'SEALED_PERSON_ERASED'

/** A sealed string cannot be opened. `reason` says why. */
export class SealedError extends UnreadableError {
  readonly reason: SealedReason

  constructor(reason: SealedReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** Whether the error means that the store was read but its value cannot be used. */
export function isUnreadable(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && (error as Partial<UnreadableError>).unreadable === true
  )
}

function sayIssue(issue: PolicyIssue): string {
  const { path, message } = issue
  const given = Object.hasOwn(issue, 'given') ? issue.given : undefined
  const corrected = Object.hasOwn(issue, 'corrected') ? issue.corrected : undefined
  const where = path === '' ? 'the document' : `\`${path}\``
  return `${where}${given === undefined ? '' : ` (${given})`}: ${message}${corrected === undefined ? '' : `; write \`${corrected}\``}`
}

/**
 * A short, safe rendering of any value for a message. Omits the user information and query of a URL, which may be secret, and the
 * name of a function, because the build shortens the names of our own.
 */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    const bare = value.replaceAll(USER_INFORMATION, '$1…@')
    const query = bare.includes('://') ? bare.indexOf('?') + 1 : 0
    const text = query === 0 ? bare : `${bare.slice(0, query)}…`
    return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
  }
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value)
    const kind = Object.prototype.toString.call(value).slice(8, -1)
    if (kind !== 'Object') return `a value of type ${kind.slice(0, 60)}`
    return keys.length === 0 ? 'an empty object' : `an object with ${keys.slice(0, 5).join(', ')}`
  }
  return String(value)
}

/** The user information of a URL, with or without its scheme. */
const USER_INFORMATION = /(\/\/)[^/?#]*@|^[^/?#@:\s]+:[^/?#@\s]+@/g
