import type { Refusal } from '../../decision.ts'
import { isThenable } from '../../thenable.ts'
import type { Callback, GuardRequest, GuardResponse, NextFunction } from '../handler.ts'
import { sendProblemInstead } from './answer-instead.ts'
import { sendProblem } from './problem.ts'

/** Responds to a refusal in place of the problem document. */
export type DenyHandler = Callback<
  [decision: Refusal, req: GuardRequest, res: GuardResponse, next: NextFunction],
  unknown
>

/** How long `onDeny` may take to respond, in milliseconds. */
const MOST_TIME = 5_000

/** The contents of the response to a refusal. */
export interface RefusalAnswer {
  readonly decision: Refusal
  readonly requestId: string
  /** Additional members of the problem document. */
  readonly extension: Readonly<Record<string, unknown>> | undefined
}

/**
 * Refuses a request: by `onDeny` if there is one, otherwise by the problem document. The request never passes. The problem
 * document is also sent if `onDeny` calls `next()` without an error, throws, rejects, or has not responded when its promise
 * settles or after five seconds. What `onDeny` writes after that, and an error that it then passes to `next`, is ignored.
 */
export function refuse(
  { decision, requestId, extension }: RefusalAnswer,
  onDeny: DenyHandler | undefined,
  req: GuardRequest,
  res: GuardResponse,
  next: NextFunction,
): void {
  if (onDeny === undefined) {
    sendProblem(res, decision.code, requestId, extension)
    return
  }
  let isOver = false
  let timer: NodeJS.Timeout | undefined
  const answer = (): void => {
    clearTimeout(timer)
    if (!isOver && !res.headersSent && !res.destroyed) {
      isOver = true
      sendProblemInstead(res, decision.code, requestId, extension)
    }
  }
  const onward = (error?: unknown): void => {
    if (!isError(error)) {
      answer()
    } else if (!isOver) {
      isOver = true
      clearTimeout(timer)
      next(error)
    }
  }
  let returned: unknown
  try {
    returned = onDeny(decision, req, res, onward)
    if (isThenable(returned)) returned.then(answer, answer)
  } catch {
    answer()
    return
  }
  if (isOver || res.headersSent) return
  timer = setTimeout(answer, MOST_TIME)
  timer.unref()
  res.once('close', () => clearTimeout(timer))
}

/** Express continues after `next('route')`, `next('router')` and falsy values. */
function isError(error: unknown): boolean {
  return Boolean(error) && error !== 'route' && error !== 'router'
}
