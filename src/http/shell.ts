import type { Decision } from '../decision.ts'
import type { Judgement } from '../guards/guard.ts'
import type { App } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { refusalLines, type RefusalLines } from './console-line.ts'
import type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from './handler.ts'
import {
  failed,
  isByPreflight,
  judgeFor,
  type Answer,
  type FailedJudgement,
  type JudgeSettings,
  type Question,
} from './judge.ts'
import type { AppIdReader, Unresolved } from './judged-request.ts'
import { appIdFrom } from './request/app-id.ts'
import { callListener, OPTION_TIMEOUT } from './request/ask-option.ts'
import { createContext, findContext, type RequestContext } from './request/context.ts'
import { readRequestId } from './request/request-id.ts'
import { middleware } from './request/wrong-call.ts'
import { writeCors, writeCorsOfRefusal } from './response/cors.ts'
import { sendProblem } from './response/problem.ts'
import { refuse } from './response/refuse.ts'
import { checkSetup } from './setup-checks.ts'
import type { SharedOptions } from './shared-options.ts'

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
  return middleware(name, new Chain(steps, options))
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
  /** Those that have something to do before anything is decided. */
  readonly #beginning: readonly Mount<unknown, unknown>[]

  constructor(steps: readonly Step[], options: SharedOptions) {
    this.#steps = steps
    this.#options = options
    this.#lines = refusalLines(options.logger)
    const mounts = steps.filter((step): step is Mount<unknown, unknown> => !isPassage(step))
    this.#beginning = mounts.filter(({ begin }) => begin !== undefined)
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
          process.nextTick(() => this.#start(context, res, next))
        })
        return
      }
      context.name(id)
    }
    this.#start(context, res, next)
  }

  #start(context: RequestContext, res: GuardResponse, next: NextFunction): void {
    for (const step of this.#beginning) {
      try {
        step.begin?.(context, res)
      } catch (error) {
        this.#settle(step, failed(step.name, error, undefined), context, res, next)
        return
      }
    }
    this.#advance(0, undefined, context, res, next)
  }

  /** Asks the guards from this one on, until one refuses or has to be waited for. */
  #advance(
    from: number,
    known: App | Unresolved | undefined,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
  ): void {
    let app = known
    for (let index = from; index < this.#steps.length; index += 1) {
      const step = this.#steps[index] as Step
      if (isPassage(step)) {
        this.#pass(step, index, app, context, res, next)
        return
      }
      if (app === undefined) {
        const found = this.#find(step, context, res, next)
        if (found === undefined) return
        if (isThenable(found)) {
          this.#goOnWhen(found, step, context, res, next, (settled) =>
            this.#advance(index, settled, context, res, next),
          )
          return
        }
        app = found
      }
      const answer = judgeFor(step, context, this.#settings, app)
      if (isThenable(answer)) {
        const judged = app
        this.#goOnWhen(answer, step, context, res, next, (settled) => {
          if (this.#settle(step, settled, context, res, next))
            this.#advance(index + 1, judged, context, res, next)
        })
        return
      }
      if (!this.#settle(step, answer, context, res, next)) return
    }
    next()
  }

  /** The app that calls; `undefined` where an option failed and the request is refused. */
  #find(
    step: Mount<unknown, unknown>,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
  ): App | Unresolved | Promise<App | Unresolved> | undefined {
    try {
      return context.resolve(this.#settings)
    } catch (error) {
      this.#settle(step, failed(step.name, error, undefined), context, res, next)
      return undefined
    }
  }

  /**
   * Goes on when something is known. Through nextTick, so that a fault of the application behind `next` stays an uncaught
   * exception and does not become a rejection of our promise.
   */
  #goOnWhen<Known>(
    pending: Promise<Known>,
    step: Mount<unknown, unknown>,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
    goOn: (known: Known) => void,
  ): void {
    void pending.then(
      (known) => process.nextTick(goOn, known),
      (error: unknown) =>
        process.nextTick(() => this.#settle(step, failed(step.name, error, undefined), context, res, next)),
    )
  }

  /** Lets other middleware work on the request; an error of it goes to the error handler, readable by an allowed page. */
  #pass(
    { pass }: Passage,
    index: number,
    app: App | Unresolved | undefined,
    context: RequestContext,
    res: GuardResponse,
    next: NextFunction,
  ): void {
    pass(context.req, res, (error?: unknown) => {
      if (error === undefined) {
        this.#advance(index + 1, app, context, res, next)
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
    if (decision.effect === 'deny' && decision.mode === 'report')
      callListener(onReport, decision, context.req)
    if (decision.effect === 'deny') this.#lines?.tell(decision, context, answer)
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
