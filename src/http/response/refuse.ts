import type { Refusal } from '../../decision.ts'
import { isThenable } from '../../thenable.ts'
import type { Callback, GuardRequest, GuardResponse, NextFunction } from '../handler.ts'
import { sendProblem } from './problem.ts'

/** Answers a refusal in place of the problem document. */
export type DenyHandler = Callback<
  [decision: Refusal, req: GuardRequest, res: GuardResponse, next: NextFunction],
  unknown
>

/** How long `onDeny` may take to answer, in milliseconds. */
const MOST_TIME = 5_000

/** What a refusal is answered with. */
export interface RefusalAnswer {
  readonly decision: Refusal
  readonly requestId: string
  /** Further members of the problem document, in development. */
  readonly extension: Readonly<Record<string, unknown>> | undefined
}

/**
 * Refuses: by `onDeny` where there is one, otherwise by the problem document. The request never passes: `next()` without
 * an error, an `onDeny` that throws or rejects, and one that has not answered when its promise settles or after five
 * seconds, all lead to the problem document.
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
  let passedOn = false
  let timer: NodeJS.Timeout | undefined
  const answer = (): void => {
    clearTimeout(timer)
    if (!passedOn && !res.headersSent && !res.destroyed) {
      sendProblem(res, decision.code, requestId, extension)
    }
  }
  const onward = (error?: unknown): void => {
    if (!isError(error)) {
      answer()
    } else if (!passedOn) {
      passedOn = true
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
  if (passedOn || res.headersSent) return
  timer = setTimeout(answer, MOST_TIME)
  timer.unref()
  res.once('close', () => clearTimeout(timer))
}

/** Express takes `next('route')` and `next('router')` for leave to go on, as it does a value that is false. */
function isError(error: unknown): boolean {
  return Boolean(error) && error !== 'route' && error !== 'router'
}
