import type { Decision } from '../decision.ts'
import type { CorsGrant } from '../guards/domain-protect.ts'
import type { Judgement } from '../guards/guard.ts'
import type { App } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { refusalLines, type RefusalLines } from './console-line.ts'
import type { GuardResponse, NextFunction } from './handler.ts'
import {
  failed,
  isByPreflight,
  judgeFor,
  type Answer,
  type FailedJudgement,
  type JudgeSettings,
} from './judge.ts'
import { isUnknown, type AppIdReader, type Unresolved } from './judged-request.ts'
import { appIdFrom } from './request/app-id.ts'
import { callListener, OPTION_TIMEOUT } from './request/ask-option.ts'
import type { RequestContext } from './request/context.ts'
import { awaitEmptyContent } from './request/empty-content.ts'
import { writeCors, writeCorsOfRefusal } from './response/cors.ts'
import { sendProblem } from './response/problem.ts'
import { refuse } from './response/refuse.ts'
import { checkSetup } from './setup-checks.ts'
import type { SharedOptions } from './shared-options.ts'
import { isPassage, type Mount, type Passage, type Step } from './step.ts'

const DEFAULT_APP_ID: AppIdReader = appIdFrom({ header: 'x-app-id' })

/** The part of a chain that all its requests share. */
export class Plan {
  readonly steps: readonly {
    readonly mount: Mount<unknown, unknown>
    readonly passage: Passage | undefined
  }[]
  readonly settings: JudgeSettings
  readonly options: SharedOptions
  /** The guard that judges requests for apps that do not exist. */
  readonly stranger: Mount<unknown, unknown> | undefined
  /** Whether that guard runs after body parsers of this chain. */
  readonly readsAheadOfStranger: boolean
  /** Whether a guard of this chain responds according to the origin of the request; every refusal then varies by it. */
  readonly variesByOrigin: boolean
  readonly lines: RefusalLines | undefined
  /** The mounts that have work to do before any decision. */
  readonly beginning: readonly Mount<unknown, unknown>[]

  constructor(steps: readonly Step[], options: SharedOptions) {
    this.options = options
    this.lines = refusalLines(options.logger)
    const mounts = steps.filter((step): step is Mount<unknown, unknown> => !isPassage(step))
    this.steps = steps.map((step) =>
      isPassage(step)
        ? { mount: mounts[0] as Mount<unknown, unknown>, passage: step }
        : { mount: step, passage: undefined },
    )
    this.beginning = mounts.filter(({ begin }) => begin !== undefined)
    this.stranger = mounts.find(({ stranger }) => stranger !== undefined)
    const place = steps.findIndex((step) => step === this.stranger)
    this.readsAheadOfStranger = steps.some((step, index) => isPassage(step) && index < place)
    this.variesByOrigin = mounts.some(({ writesCors }) => writesCors === true)
    this.settings = {
      policies: options.policies,
      appId: options.appId ?? DEFAULT_APP_ID,
      optionTimeout: options.optionTimeout ?? OPTION_TIMEOUT,
      stranger: this.stranger,
    }
  }
}

/** One request that passes through a chain. */
export class Run {
  readonly #plan: Plan
  readonly #context: RequestContext
  readonly #res: GuardResponse
  readonly #next: NextFunction
  /** The calling app; `undefined` until it is known. */
  #app: App | Unresolved | undefined
  /** Whether the response was checked since the chain last waited. */
  #looked = false
  /** Whether an enforcing guard has admitted the request since that check. */
  #passed = false

  constructor(plan: Plan, context: RequestContext, res: GuardResponse, next: NextFunction) {
    this.#plan = plan
    this.#context = context
    this.#res = res
    this.#next = next
  }

  start(): void {
    const { beginning } = this.#plan
    for (let index = 0; index < beginning.length; index += 1) {
      const step = beginning[index] as Mount<unknown, unknown>
      try {
        step.begin?.(this.#context, this.#res)
      } catch (error) {
        this.#settle(step, failed(step.name, error, undefined))
        return
      }
    }
    this.#advance(0)
  }

  /** Runs the guards from this one on, until one refuses or must be awaited. */
  #advance(from: number): void {
    const { steps, settings } = this.#plan
    for (let index = from; index < steps.length; index += 1) {
      const { mount: step, passage } = steps[index] as Plan['steps'][number]
      if (passage !== undefined) {
        if (passage.isNeeded?.(this.#context.facts) === false) continue
        this.#pass(passage, index)
        return
      }
      if (this.#app === undefined && !(this.#findApp(step, index) && this.#isReadyFor(this.#app, index)))
        return
      const answer = judgeFor(step, this.#context, settings, this.#app as App | Unresolved)
      if (isThenable(answer)) {
        this.#waitForAnswer(answer, step, index)
        return
      }
      if (!this.#settle(step, answer)) return
    }
    if (this.#passed && isOver(this.#res)) return
    this.#next()
  }

  // A separate method: a closure in a loop allocates memory in every iteration, even if it is not created.
  #waitForAnswer(pending: Promise<Answer<unknown>>, step: Mount<unknown, unknown>, index: number): void {
    this.#goOnWhen(pending, step, (settled) => {
      if (this.#settle(step, settled)) this.#advance(index + 1)
    })
  }

  /** Returns whether the calling app is known. If not, an option has failed, or the app must be awaited. */
  #findApp(step: Mount<unknown, unknown>, index: number): boolean {
    try {
      const found = this.#context.resolve(this.#plan.settings)
      if (!isThenable(found)) {
        this.#app = found
        return true
      }
      this.#waitForApp(found, step, index)
    } catch (error) {
      this.#settle(step, failed(step.name, error, undefined))
    }
    return false
  }

  #waitForApp(pending: Promise<App | Unresolved>, step: Mount<unknown, unknown>, index: number): void {
    this.#goOnWhen(pending, step, (settled) => {
      this.#app = settled
      if (this.#isReadyFor(settled, index)) this.#advance(index)
    })
  }

  /**
   * Whether the app can be judged now. For an app that does not exist, no content is read. But the chain waits until it knows
   * whether there is content, as the parsers do for an existing app, because both must be answered alike.
   */
  #isReadyFor(app: App | Unresolved | undefined, index: number): boolean {
    if (app === undefined || !isUnknown(app) || !this.#plan.readsAheadOfStranger) return true
    if (!this.#context.facts.mayHaveContent) return true
    this.#pass({ pass: awaitEmptyContent }, index - 1)
    return false
  }

  /**
   * Continues when a promise settles. Uses `nextTick`: a fault of the application after `next` then stays an uncaught exception,
   * and does not become a rejection of our promise.
   */
  #goOnWhen<Known>(
    pending: Promise<Known>,
    step: Mount<unknown, unknown>,
    goOn: (known: Known) => void,
  ): void {
    void pending.then(
      (known) =>
        process.nextTick(() => {
          this.#lookAgain()
          goOn(known)
        }),
      (error: unknown) => process.nextTick(() => this.#settle(step, failed(step.name, error, undefined))),
    )
  }

  #lookAgain(): void {
    this.#context.facts.lookAgain()
    this.#looked = this.#passed = false
  }

  /**
   * Runs other middleware on the request. Its error goes to the error handler. A page of an allowed origin can read that
   * response, because `domainProtect` has written its headers before.
   */
  #pass({ pass }: Passage, index: number): void {
    pass(this.#context.req, this.#res, (error?: unknown) => {
      this.#lookAgain()
      if (error === undefined) this.#advance(index + 1)
      else this.#next(error)
    })
  }

  /** Carries out an answer. Returns whether the request continues. */
  #settle(step: Mount<unknown, unknown>, answer: Answer<unknown>): boolean {
    try {
      return this.#carryOut(step, answer)
    } catch (error) {
      // If the result cannot be written, the request must not pass.
      const fault = failed(step.name, error, undefined)
      const context = this.#context
      context.record(fault.decision)
      this.#tell(fault)
      if (!this.#res.headersSent) sendProblem(this.#res, fault.decision.code, context.requestId)
      return false
    }
  }

  #carryOut(asked: Mount<unknown, unknown>, answer: Answer<unknown>): boolean {
    const { decision } = answer
    const context = this.#context
    const { stranger, settings } = this.#plan
    const byPreflight = context.facts.preflight && isByPreflight(answer)
    // For an app that does not exist, another guard of the chain may have decided.
    const step = decision.guard === asked.name || byPreflight ? asked : (stranger ?? asked)
    context.record(decision)
    checkSetup(decision, context, this.#res, settings.appId)
    if (!byPreflight) step.note?.(answer, context)
    this.#tell(answer)
    if (decision.mode !== 'enforce') return true
    // The response may have been sent, or the caller may have disconnected, while the chain waited.
    const looks = !this.#looked || decision.effect === 'deny'
    if (looks && isOver(this.#res)) return false
    this.#looked = true
    this.#passed = !looks
    return this.#write(step, answer, byPreflight)
  }

  #write(step: Mount<unknown, unknown>, answer: Answer<unknown>, byPreflight: boolean): boolean {
    const { decision } = answer
    const context = this.#context
    const res = this.#res
    if (byPreflight) {
      if (writeCors(answer as Judgement<CorsGrant>, context, res)) return false
    } else {
      if (decision.effect === 'deny' && step.writesCors !== true) this.#writeCorsOfRefusal(decision)
      if (step.write?.(answer, context, res) === true) return false
    }
    if (decision.effect === 'allow') return true
    const extension = byPreflight ? undefined : step.explain?.(answer)
    const { onDeny } = this.#plan.options
    refuse({ decision, requestId: context.requestId, extension }, onDeny, context.req, res, this.#next)
    return false
  }

  #writeCorsOfRefusal(decision: Decision): void {
    const context = this.#context
    if (context.policy === undefined && this.#plan.variesByOrigin) writeCors({ decision }, context, this.#res)
    else writeCorsOfRefusal(context, this.#res)
  }

  #tell(answer: Answer<unknown>): void {
    const { onDecision, onReport } = this.#plan.options
    const { decision } = answer
    const context = this.#context
    if (decision.effect === 'deny') {
      if (decision.mode === 'report') callListener(onReport, decision, context.req)
      this.#plan.lines?.tell(decision, context, answer)
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

/** Whether a response can no longer be sent. */
function isOver({ headersSent, destroyed }: GuardResponse): boolean {
  return headersSent || destroyed
}
