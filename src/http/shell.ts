import type { Decision, Refusal } from '../decision.ts'
import type { Judgement } from '../guards/guard.ts'
import { aFunction, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import type { PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { A_LOGGER, refusalLines, type RefusalLines, type RefusalLogger } from './console-line.ts'
import type { Callback, GuardRequest, GuardResponse, NextFunction, RequestHandler } from './handler.ts'
import {
  failed,
  isByPreflight,
  judge,
  type Answer,
  type FailedJudgement,
  type JudgeSettings,
  type Question,
} from './judge.ts'
import type { AppIdReader } from './judged-request.ts'
import { appIdFrom } from './request/app-id.ts'
import { callListener, OPTION_TIMEOUT } from './request/ask-option.ts'
import { createContext, findContext, type RequestContext } from './request/context.ts'
import { readRequestId, type RequestIdOption } from './request/request-id.ts'
import { writeCors, writeCorsOfRefusal } from './response/cors.ts'
import { sendProblem } from './response/problem.ts'
import { refuse, type DenyHandler } from './response/refuse.ts'
import { checkSetup } from './setup-checks.ts'

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
  /** Told of refusals, one line for each kind and minute. Default: the console, outside production; {@link RefusalLogger}. */
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
  appId: aFunction,
  onDecision: aFunction,
  onDeny: aFunction,
  onReport: aFunction,
  logger: A_LOGGER,
  requestId: aFunction,
  optionTimeout: wholeNumber('milliseconds', 1, 60_000),
}

/** One guard as the shell mounts it: a question, and what its answers mean for the response. */
export interface Mount<Facts, Outcome> extends Question<Facts, Outcome> {
  /** Before anything is decided, for every request. */
  begin?(context: RequestContext, res: GuardResponse): void
  /** Leaves what handlers need in the context, in every mode. */
  note?(judgement: Judgement<Outcome>, context: RequestContext): void
  /** Writes to the response in `enforce`. True: it has answered. */
  write?(judgement: Judgement<Outcome>, context: RequestContext, res: GuardResponse): boolean
  /** Whether `write` says too what pages may read of a refusal. Default false: the shell does. */
  readonly writesCors?: boolean
  /** Members that the problem document of this refusal has in development. */
  explain?(judgement: Judgement<Outcome>): Readonly<Record<string, unknown>> | undefined
}

/** Other middleware that a chain takes in, such as body parsers. A page of an allowed origin may read its errors. */
export interface Passage {
  readonly pass: RequestHandler
}

// oxlint-disable-next-line typescript/no-explicit-any -- each mount keeps its own facts and outcome to itself
export type Step = Mount<any, any> | Passage

function isPassage(step: Step): step is Passage {
  return Object.hasOwn(step, 'pass')
}

/** Mounts one guard. */
export function mount<Facts, Outcome>(spec: Mount<Facts, Outcome>, options: SharedOptions): RequestHandler {
  return chain(spec.name, [spec], options)
}

/**
 * Turns guards into one handler for Express and anything connect-style: one context, and the guards asked in a row. It
 * decides inside of a `try`, and passes on outside of it. It pauses where something has to be waited for; what does not
 * pause costs no promise.
 */
export function chain(name: string, steps: readonly Step[], options: SharedOptions): RequestHandler {
  const run = new Chain(steps, options)
  const handler: RequestHandler = (req, res, next) => run.begin(req, res, next)
  Object.defineProperty(handler, 'name', { value: name })
  return handler
}

class Chain {
  readonly #steps: readonly Step[]
  readonly #settings: JudgeSettings
  readonly #options: SharedOptions
  /** The guard that answers for apps that do not exist. */
  readonly #stranger: Mount<unknown, unknown> | undefined
  /** Whether a guard of this chain answers by the origin of the request, so that every refusal varies by it. */
  readonly #variesByOrigin: boolean
  readonly #lines: RefusalLines | undefined

  constructor(steps: readonly Step[], options: SharedOptions) {
    this.#steps = steps
    this.#options = options
    this.#lines = refusalLines(options.logger)
    const mounts = steps.filter((step): step is Mount<unknown, unknown> => !isPassage(step))
    this.#stranger = mounts.find(({ stranger }) => stranger !== undefined)
    this.#variesByOrigin = mounts.some(({ writesCors }) => writesCors === true)
    this.#settings = {
      policies: options.policies,
      appId: options.appId ?? DEFAULT_APP_ID,
      optionTimeout: options.optionTimeout ?? OPTION_TIMEOUT,
      stranger: this.#stranger,
    }
  }

  begin(req: GuardRequest, res: GuardResponse, next: NextFunction): void {
    const known = findContext(req)
    const context = known ?? createContext(req)
    const { requestId } = this.#options
    if (known === undefined && requestId !== undefined) {
      const id = readRequestId(requestId, req, this.#settings.optionTimeout)
      if (isThenable(id)) {
        // It never rejects.
        void id.then((settled) => {
          context.name(settled)
          process.nextTick(() => this.#advance(0, context, res, next))
        })
        return
      }
      context.name(id)
    }
    this.#advance(0, context, res, next)
  }

  /** Asks the guards from this one on, until one refuses or has to be waited for. */
  #advance(from: number, context: RequestContext, res: GuardResponse, next: NextFunction): void {
    for (let index = from; index < this.#steps.length; index += 1) {
      const step = this.#steps[index] as Step
      if (isPassage(step)) {
        this.#pass(step, index, context, res, next)
        return
      }
      const answer = this.#ask(step, context, res)
      if (isThenable(answer)) {
        // Through nextTick a fault of the application behind `next` stays an uncaught exception and does not become a
        // rejection of our promise.
        void answer.then((settled) =>
          process.nextTick(() => {
            if (this.#settle(step, settled, context, res, next)) this.#advance(index + 1, context, res, next)
          }),
        )
        return
      }
      if (!this.#settle(step, answer, context, res, next)) return
    }
    next()
  }

  #ask(
    step: Mount<unknown, unknown>,
    context: RequestContext,
    res: GuardResponse,
  ): Answer<unknown> | Promise<Answer<unknown>> {
    try {
      step.begin?.(context, res)
    } catch (error) {
      return failed(step.name, error, undefined)
    }
    return judge(step, context, this.#settings)
  }

  /** Lets other middleware work on the request; an error of it goes to the error handler, readable by an allowed page. */
  #pass(
    { pass }: Passage,
    index: number,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
  ): void {
    pass(context.req, res, (error?: unknown) => {
      if (error === undefined) {
        this.#advance(index + 1, context, res, next)
        return
      }
      if (!res.headersSent) writeCorsOfRefusal(context, res)
      next(error)
    })
  }

  /** Whether the request goes on. */
  #settle(
    step: Mount<unknown, unknown>,
    answer: Answer<unknown>,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
  ): boolean {
    try {
      return this.#carryOut(step, answer, context, res, next)
    } catch (error) {
      // Nothing that was to be written lets a request pass that could not be written.
      const fault = failed(step.name, error, undefined)
      context.record(fault.decision)
      this.#tell(fault, context)
      if (!res.headersSent) sendProblem(res, fault.decision.code, context.requestId)
      return false
    }
  }

  #carryOut(
    asked: Mount<unknown, unknown>,
    answer: Answer<unknown>,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
  ): boolean {
    const { decision } = answer
    const byPreflight = isByPreflight(answer)
    // Of an app that does not exist another guard of the chain may have spoken.
    const step = decision.guard === asked.name || byPreflight ? asked : (this.#stranger ?? asked)
    context.record(decision)
    checkSetup(decision, context, res, this.#settings.appId)
    if (!byPreflight) step.note?.(answer, context)
    this.#tell(answer, context)
    if (decision.mode !== 'enforce') return true
    // The answer went out or the caller went away while we waited.
    if (res.headersSent || res.destroyed) return false
    if (byPreflight) {
      if (writeCors(answer, context, res)) return false
    } else {
      if (decision.effect === 'deny' && step.writesCors !== true)
        this.#writeCorsOfRefusal(decision, context, res)
      if (step.write?.(answer, context, res) === true) return false
    }
    if (decision.effect === 'allow') return true
    const extension = byPreflight ? undefined : step.explain?.(answer)
    refuse(
      { decision, requestId: context.requestId, extension },
      this.#options.onDeny,
      context.req,
      res,
      next,
    )
    return false
  }

  #writeCorsOfRefusal(decision: Decision, context: RequestContext, res: GuardResponse): void {
    if (context.policy === undefined && this.#variesByOrigin) writeCors({ decision }, context, res)
    else writeCorsOfRefusal(context, res)
  }

  #tell(answer: Answer<unknown>, context: RequestContext): void {
    const { onDecision, onReport } = this.#options
    const { decision } = answer
    if (decision.effect === 'deny') {
      if (decision.mode === 'report') callListener(onReport, decision, context.req)
      this.#lines?.tell(decision, context, answer)
    }
    if (onDecision === undefined) return
    const { app, req } = context
    callListener(onDecision, decision, {
      req,
      app: app && { appId: app.appId, revision: app.revision },
      ...(Object.hasOwn(answer, 'error') && { error: (answer as FailedJudgement).error }),
    })
  }
}

const DEFAULT_APP_ID: AppIdReader = appIdFrom({ header: 'x-app-id' })
