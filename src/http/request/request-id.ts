import { isThenable } from '../../thenable.ts'
import type { Callback, GuardRequest } from '../handler.ts'
import { askOption } from './ask-option.ts'

/** Returns the id of a request: the one that your proxy or logger gave it. */
export type RequestIdOption = Callback<[req: GuardRequest], string | PromiseLike<string>>

// The id appears in a header, in problem documents and in the audit.
const REQUEST_ID = /^[!-~](?:[ -~]{0,198}[!-~])?$/

/**
 * The id that the option returns: a printable ASCII string of 1 to 200 characters without blanks at its ends. Any other result,
 * or an option that fails, counts as `undefined`.
 */
export function readRequestId(
  option: RequestIdOption,
  req: GuardRequest,
  limit: number,
): string | undefined | Promise<string | undefined> {
  try {
    const answer: unknown = askOption(option, req, 'requestId', limit)
    if (!isThenable(answer)) return usable(answer)
    return Promise.resolve(answer).then(usable, () => undefined)
  } catch {
    return undefined
  }
}

function usable(answer: unknown): string | undefined {
  return typeof answer === 'string' && REQUEST_ID.test(answer) ? answer : undefined
}
