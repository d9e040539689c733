import { isThenable } from '../thenable.ts'
import type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from './handler.ts'
import { createContext, findContext } from './request/context.ts'
import { readRequestId } from './request/request-id.ts'
import { middleware } from './request/wrong-call.ts'
import { Plan, Run } from './run.ts'
import type { SharedOptions } from './shared-options.ts'
import type { Mount, Step } from './step.ts'

/** Mounts one guard. */
export function mount<Facts, Outcome>(spec: Mount<Facts, Outcome>, options: SharedOptions): RequestHandler {
  return chain(spec.name, [spec], options)
}

/**
 * Turns guards into one handler for Express and any connect-style server, with one context. It decides inside a `try`, and calls
 * `next` outside it. The chain pauses only if something must be awaited; a request that never pauses costs no promise.
 */
export function chain(name: string, steps: readonly Step[], options: SharedOptions): RequestHandler {
  const plan = new Plan(steps, options)
  return middleware(name, { begin: (req, res, next) => begin(plan, req, res, next) })
}

function begin(plan: Plan, req: GuardRequest, res: GuardResponse, next: NextFunction): void {
  const known = findContext(req)
  const context = known ?? createContext(req)
  known?.facts.lookAgain()
  const run = new Run(plan, context, res, next)
  const { requestId } = plan.options
  if (known === undefined && requestId !== undefined) {
    const id = readRequestId(requestId, req, plan.settings.optionTimeout)
    if (isThenable(id)) {
      // It never rejects.
      void id.then((settled) => {
        context.name(settled)
        process.nextTick(() => run.start())
      })
      return
    }
    context.name(id)
  }
  run.start()
}
