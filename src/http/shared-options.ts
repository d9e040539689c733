import type { Decision, Refusal } from '../decision.ts'
import { aFunction, anAppIdReader, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import type { PolicySource } from '../source/index.ts'
import { A_LOGGER, type RefusalLogger } from './console-line.ts'
import type { Callback, GuardRequest } from './handler.ts'
import type { AppIdReader } from './judged-request.ts'
import type { RequestIdOption } from './request/request-id.ts'
import type { DenyHandler } from './response/refuse.ts'

/** What a listener receives besides the decision. */
export interface DecisionContext {
  readonly req: GuardRequest
  /** The app whose policy was applied; `undefined` if the request names no existing app. */
  readonly app: { readonly appId: string; readonly revision: number } | undefined
  /** The error thrown by an option (`OPTION_FAILED`) or by the store (`POLICY_UNAVAILABLE`). It may contain personal data. */
  readonly error?: unknown
}

/** The options that all guards share. Options that are functions may return a promise. */
export interface SharedOptions {
  /** The source of policies, created by `createPolicySource`. */
  readonly policies: PolicySource
  /**
   * Finds the id of the calling app. Default `appIdFrom({ header: 'x-app-id' })`. If it fails, the request is refused with
   * `OPTION_FAILED`.
   */
  readonly appId?: AppIdReader | undefined
  /**
   * Called with every decision, in every mode, as soon as it is made. It cannot change the decision: use it for logs and metrics.
   */
  readonly onDecision?: Callback<[decision: Decision, context: DecisionContext], unknown> | undefined
  /**
   * Answers a refusal instead of the problem document. The request never passes: the problem document is sent if `onDeny` calls
   * `next()` without an error, fails, or has not answered within 5 s or when its promise settles.
   */
  readonly onDeny?: DenyHandler | undefined
  /** Called with every refusal that `report` mode did not enforce. It cannot change the decision. */
  readonly onReport?: Callback<[decision: Refusal, req: GuardRequest], unknown> | undefined
  /**
   * Called with refusals, including those that `report` mode did not enforce: a line with the reason, the nearest entry and the
   * fix, each reason at most once a minute. Default: the console; nothing if NODE_ENV is `production` or `test`. Your own logger
   * is called in production too, but without details of the policy, the person or the request.
   */
  readonly logger?: RefusalLogger | undefined
  /**
   * Returns the id of a request, such as the id set by your proxy: a printable ASCII string of at most 200 characters. Default, and
   * if the value is anything else: a random UUID.
   */
  readonly requestId?: RequestIdOption | undefined
  /** How long an option that is a function may take, in milliseconds, before it counts as failed. Default 1000. */
  readonly optionTimeout?: number | undefined
}

/** What each option of one guard must be, without the options that all guards share. The compiler reports a missing one. */
export type Expectations<Options> = Readonly<Record<Exclude<keyof Options, keyof SharedOptions>, Expectation>>

const A_SOURCE = objectWith('a policy source made by createPolicySource()', 'peek', 'load')

export const SHARED_EXPECTATIONS: Readonly<Record<keyof SharedOptions, Expectation>> = {
  policies: {
    ...required(A_SOURCE),
    hint: (value) =>
      typeof (value as { read?: unknown } | null)?.read === 'function'
        ? '; this is a store: wrap it in `createPolicySource({ store })`'
        : A_SOURCE.hint?.(value),
  },
  appId: anAppIdReader,
  onDecision: aFunction,
  onDeny: aFunction,
  onReport: aFunction,
  logger: A_LOGGER,
  requestId: aFunction,
  optionTimeout: wholeNumber('milliseconds', 1, 60_000),
}
