import type { KeyObject } from 'node:crypto'
import type { AuditEvent } from '../audit/event.ts'
import type { JudgedKey } from '../audit/judged-facts.ts'
import type { RecentEvents, RecentEventsQuery } from '../audit/reading/recent-events.ts'
import type { SubjectReport } from '../audit/reading/subject-report.ts'
import type { AuditSink } from '../audit/sink.ts'
import type { Callback, GuardRequest } from '../http/handler.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber, type Expectations } from '../options.ts'
import type { ManagedPolicyStore } from '../store/contract.ts'
import type { ListStore } from '../store/list-contract.ts'
import type { LocationStatus } from '../region/regional-store.ts'
import type { ConsoleRight } from './rights.ts'
import type { ConsoleState } from './state.ts'

/** A user of the console. */
export interface ConsoleUser {
  /** Shown in the history as the author of a change; 1-200 characters. */
  readonly name: string
  readonly rights: Iterable<ConsoleRight>
}

/** An attempt to sign in. */
export interface SignInAttempt {
  readonly req: GuardRequest
  /** The token entered in the sign-in form. Missing if the console asks whether the caller is signed in to your app. */
  readonly token?: string | undefined
}

export interface ConsoleOptions {
  /** The store of policies: memory, file, Redis or your own. If it has named lists, the console shows them. */
  readonly store: ManagedPolicyStore & Partial<ListStore>
  /**
   * Returns the user and their rights, or `undefined` to refuse the sign-in. It is called at the sign-in with the `token` of the
   * form. Without a token, it may use the session of your own app; it is then called again for every request.
   */
  readonly authorize: Callback<
    [attempt: SignInAttempt],
    ConsoleUser | undefined | Promise<ConsoleUser | undefined>
  >
  /**
   * The page of your own app where users of the console sign in: a path such as `/sign-in`, or a URL. The console links to it,
   * instead of asking for a token.
   */
  readonly signInUrl?: string | undefined
  /** Receives an event for every change and every look at personal data, before it happens. */
  readonly sink: AuditSink
  /** The key for the pseudonyms of console users, as in `auditAccess`. At least 32 bytes. */
  readonly pseudonymKey: Uint8Array | KeyObject
  /** Stores sessions and drafts. Default: the memory of this process. */
  readonly state?: ConsoleState | undefined
  /**
   * Finds recent events of the audit, newest first: `redisRecentEvents(redis)`, `recentLogEvents(frames)` or your own. Left out:
   * the console shows no request counts. A list without `isComplete` counts as complete if it is shorter than `limit`.
   */
  readonly recentEvents?:
    ((query: RecentEventsQuery) => Promise<readonly AuditEvent[] | RecentEvents>) | undefined
  /**
   * The `judgements.key` of `auditAccess`. With it, the console can judge recorded requests again, with the current policy and
   * with the draft.
   */
  readonly judgedKey?: JudgedKey | undefined
  /**
   * Creates the report of all accesses to the data of a person, such as `subject` of `createAuditReader`. Left out: the console
   * offers no reports. `actor` is the name of the console user. With `isComplete: false`, the report says that older accesses may be
   * missing.
   */
  readonly accessReport?:
    | ((
        person: string,
        asked: { readonly purpose: string; readonly actor: string },
      ) => Promise<SubjectReport & { readonly isComplete?: boolean | undefined }>)
    | undefined
  /** The locations with their health, such as `status()` of `regionalStore`. Left out: the console shows no regions. */
  readonly regions?: (() => readonly LocationStatus[]) | undefined
  /** How long a session lasts without use, in milliseconds. Default 30 minutes. No session lasts longer than 12 hours. */
  readonly idleTimeout?: number | undefined
  /** Called with errors that a caller only sees as 500 or 503. Default: not reported. */
  readonly onError?: ((error: unknown) => void) | undefined
  readonly now?: (() => number) | undefined
}

const EXPECTATIONS: Expectations<ConsoleOptions> = {
  store: required(
    objectWith(
      'a managed store, such as `redisStore(redis)` or `memoryStore()`',
      'read',
      'write',
      'remove',
      'list',
      'history',
      'keys',
    ),
  ),
  authorize: required({
    expected: 'a function that returns the user and their rights, such as `consoleTokens([…])`',
    accepts: aFunction.accepts,
  }),
  signInUrl: {
    expected: 'a path that begins with one `/`, or a URL with https or http',
    accepts: (value) => typeof value === 'string' && /^(?:https?:\/\/|\/(?![/\\]))/.test(value),
  },
  sink: required(objectWith('an audit sink: an object with a method `write`', 'write')),
  pseudonymKey: required({
    expected: 'at least 32 bytes',
    secret: true,
    accepts: (value) => typeof value === 'object' && value !== null,
  }),
  state: objectWith('an object with methods `read` and `replace`', 'read', 'replace'),
  recentEvents: aFunction,
  judgedKey: {
    expected: 'a key of 32 bytes, or a function that returns one for each app and month',
    secret: true,
    accepts: (value) => typeof value === 'function' || (value instanceof Uint8Array && value.length === 32),
  },
  accessReport: aFunction,
  regions: aFunction,
  idleTimeout: wholeNumber('milliseconds', 1_000, 12 * 3_600_000),
  onError: aFunction,
  now: aFunction,
}

/** @throws ConfigError */
export function readConsoleOptions(given: unknown): Readonly<ConsoleOptions> {
  return checkOptions<ConsoleOptions>('createConsole', given, EXPECTATIONS)
}
