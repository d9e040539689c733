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

/** What is the same for all requests of a chain. */
export class Plan {
  readonly steps: readonly {
    readonly mount: Mount<unknown, unknown>
    readonly passage: Passage | undefined
  }[]
  readonly settings: JudgeSettings
  readonly options: SharedOptions
  /** The guard that answers for apps that do not exist. */
  readonly stranger: Mount<unknown, unknown> | undefined
  /** Whether the apps that exist are asked by that guard behind the body parsers of this chain. */
  readonly readsAheadOfStranger: boolean
  /** Whether a guard of this chain answers by the origin of the request, so that every refusal varies by it. */
  readonly variesByOrigin: boolean
  readonly lines: RefusalLines | undefined
  /** Those that have something to do before anything is decided. */
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

/** One request on its way through a chain. */
export class Run {
  readonly #plan: Plan
  readonly #context: RequestContext
  readonly #res: GuardResponse
  readonly #next: NextFunction
  /** The app that calls, once it is known. */
  #app: App | Unresolved | undefined
  /** Whether the response was looked at since something was last waited for. */
  #looked = false
  /** Whether a guard that enforces has let the request pass since then. */
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

  /** Asks the guards from this one on, until one refuses or has to be waited for. */
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

  // A function of its own: a closure in a loop costs each turn of it some memory, whether it is made or not.
  #waitForAnswer(pending: Promise<Answer<unknown>>, step: Mount<unknown, unknown>, index: number): void {
    this.#goOnWhen(pending, step, (settled) => {
      if (this.#settle(step, settled)) this.#advance(index + 1)
    })
  }

  /** Whether it is known which app calls. Otherwise an option failed, or has to be waited for. */
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
   * Whether the app can be judged now. Of an app that does not exist no content is read; but whether there is any is waited
   * for, as the parsers do for an app that exists, so that both are answered alike.
   */
  #isReadyFor(app: App | Unresolved | undefined, index: number): boolean {
    if (app === undefined || !isUnknown(app) || !this.#plan.readsAheadOfStranger) return true
    if (!this.#context.facts.mayHaveContent) return true
    this.#pass({ pass: awaitEmptyContent }, index - 1)
    return false
  }

  /**
   * Goes on when something is known. Through nextTick, so that a fault of the application behind `next` stays an uncaught
   * exception and does not become a rejection of our promise.
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
   * Lets other middleware work on the request. An error of it goes to the error handler. An allowed page may read that, by what
   * `domainProtect` has written before.
   */
  #pass({ pass }: Passage, index: number): void {
    pass(this.#context.req, this.#res, (error?: unknown) => {
      this.#lookAgain()
      if (error === undefined) this.#advance(index + 1)
      else this.#next(error)
    })
  }

  /** Whether the request goes on. */
  #settle(step: Mount<unknown, unknown>, answer: Answer<unknown>): boolean {
    try {
      return this.#carryOut(step, answer)
    } catch (error) {
      // Nothing that was to be written lets a request pass that could not be written.
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
    // Of an app that does not exist another guard of the chain may have spoken.
    const step = decision.guard === asked.name || byPreflight ? asked : (stranger ?? asked)
    context.record(decision)
    checkSetup(decision, context, this.#res, settings.appId)
    if (!byPreflight) step.note?.(answer, context)
    this.#tell(answer)
    if (decision.mode !== 'enforce') return true
    // The answer went out or the caller went away while we waited.
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

/** Whether nothing can be answered any more. */
function isOver({ headersSent, destroyed }: GuardResponse): boolean {
  return headersSent || destroyed
}
