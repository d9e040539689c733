import { withDeadline } from '../../deadline.ts'
import { isThenable } from '../../thenable.ts'

/** The default of `optionTimeout`: how long an option that is a function may take, in milliseconds. */
export const OPTION_TIMEOUT = 1_000

/** An option that is a function threw, rejected or did not settle in time. The request is refused with `OPTION_FAILED`. */
export class OptionFailure extends Error {
  /** The option, as the integrator wrote it: `country`. */
  readonly option: string

  constructor(option: string, cause: unknown) {
    super(`the \`${option}\` option failed`, { cause })
    this.option = option
  }
}

/**
 * Calls an option that is a function, and returns its result unchanged: a promise only if the option returned one. That promise
 * settles within `limit` milliseconds.
 *
 * @throws OptionFailure if the option throws; a promise rejects with it
 */
export function askOption<Given, Answer>(
  option: (given: Given) => Answer | PromiseLike<Answer>,
  given: Given,
  name: string,
  limit: number,
): Answer | Promise<Answer> {
  try {
    const answer = option(given)
    if (!isThenable(answer)) return answer
    return withDeadline(answer, limit, `the \`${name}\` option`).catch((error: unknown) => {
      throw new OptionFailure(name, error)
    })
  } catch (error) {
    throw new OptionFailure(name, error)
  }
}

/**
 * Calls an option that must be synchronous. A promise counts as a failure, and its rejection is handled.
 *
 * @throws OptionFailure
 */
export function askNow<Given extends readonly unknown[], Answer>(
  option: (...given: Given) => Answer,
  name: string,
  ...given: Given
): Answer {
  let answer: Answer
  try {
    answer = option(...given)
    if (!isThenable(answer)) return answer
    answer.then(undefined, () => undefined)
  } catch (error) {
    throw new OptionFailure(name, error)
  }
  throw new OptionFailure(name, new TypeError('it returned a promise, but must be synchronous'))
}

/** Calls a listener. Nothing that it returns, throws or rejects with has an effect. */
export function callListener<Given extends readonly unknown[]>(
  listener: ((...given: Given) => unknown) | undefined,
  ...given: Given
): void {
  if (listener === undefined) return
  try {
    const returned = listener(...given)
    if (isThenable(returned)) returned.then(undefined, () => undefined)
  } catch {
    // A listener cannot change the request.
  }
}
