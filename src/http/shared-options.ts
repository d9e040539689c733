import type { Decision, Refusal } from '../decision.ts'
import { aFunction, anAppIdReader, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import type { PolicySource } from '../source/index.ts'
import { A_LOGGER, type RefusalLogger } from './console-line.ts'
import type { Callback, GuardRequest } from './handler.ts'
import type { AppIdReader } from './judged-request.ts'
import type { RequestIdOption } from './request/request-id.ts'
import type { DenyHandler } from './response/refuse.ts'

/** What a listener is told besides the decision. */
export interface DecisionContext {
  readonly req: GuardRequest
  /** The app by whose policy the guard decided; `undefined` where the request names none that exists. */
  readonly app: { readonly appId: string; readonly revision: number } | undefined
  /** What an option (`OPTION_FAILED`) or the store (`POLICY_UNAVAILABLE`) has thrown. It may hold personal data. */
  readonly error?: unknown
}

/** The options that all guards share. Those that are functions may return a promise, which costs only them. */
export interface SharedOptions {
  /** Where policies come from; made by `createPolicySource`. */
  readonly policies: PolicySource
  /** Says which app calls. Default `appIdFrom({ header: 'x-app-id' })`. One that fails refuses with `OPTION_FAILED`. */
  readonly appId?: AppIdReader | undefined
  /**
   * Told of every decision, in every mode, as soon as it is made. It changes nothing, whatever it does: use it for logs
   * and metrics.
   */
  readonly onDecision?: Callback<[decision: Decision, context: DecisionContext], unknown> | undefined
  /**
   * Answers a refusal in place of the problem document. The request never passes: `next()` without an error, an `onDeny`
   * that fails, and one that has not answered within 5 s or when its promise settles, send the problem document.
   */
  readonly onDeny?: DenyHandler | undefined
  /** Told of every refusal that `report` mode has let pass. It changes nothing. */
  readonly onReport?: Callback<[decision: Refusal, req: GuardRequest], unknown> | undefined
  /**
   * Told of refusals, also of those that `report` mode has let pass: a line with the reason, the nearest entry and how to
   * fix it, once a minute for each kind. Default: the console, and nothing where NODE_ENV is `production` or `test`. One
   * that is given is told in production too, and there nothing of a policy, a person or what the caller wrote.
   */
  readonly logger?: RefusalLogger | undefined
  /**
   * The id of a request, such as the one that your proxy has given it: a printable ASCII string of at most 200 characters.
   * Default, and in place of anything else: a random UUID.
   */
  readonly requestId?: RequestIdOption | undefined
  /** How long an option that is a function may take, in milliseconds; then it counts as failed. Default 1000. */
  readonly optionTimeout?: number | undefined
}

/** What each option of one guard must be; without those that all guards share. The compiler finds one that is forgotten. */
export type Expectations<Options> = Readonly<Record<Exclude<keyof Options, keyof SharedOptions>, Expectation>>

export const SHARED_EXPECTATIONS: Readonly<Record<keyof SharedOptions, Expectation>> = {
  policies: required(objectWith('a policy source made by createPolicySource()', 'peek', 'load')),
  appId: anAppIdReader,
  onDecision: aFunction,
  onDeny: aFunction,
  onReport: aFunction,
  logger: A_LOGGER,
  requestId: aFunction,
  optionTimeout: wholeNumber('milliseconds', 1, 60_000),
}
