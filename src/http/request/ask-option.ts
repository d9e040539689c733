import { withDeadline } from '../../deadline.ts'
import { isThenable } from '../../thenable.ts'

/** How long an option that is a function may take, in milliseconds, where `optionTimeout` is left out. */
export const OPTION_TIMEOUT = 1_000

/** An option that is a function threw, rejected or gave no answer in time. The request is refused with `OPTION_FAILED`. */
export class OptionFailure extends Error {
  /** The option, as the integrator wrote it: `country`. */
  readonly option: string

  constructor(option: string, cause: unknown) {
    super(`the \`${option}\` option failed`, { cause })
    this.option = option
  }
}

/**
 * Asks an option that is a function. The answer is handed on as it is: a promise only where the option returned one, and
 * then one that settles within `limit` milliseconds.
 *
 * @throws OptionFailure when the option throws; a promise rejects with it.
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
 * Asks an option that has to answer at once. A promise counts as a failure, and is not left alone.
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

/** Calls a listener. Whatever it does, throws or rejects, changes nothing. */
export function callListener<Given extends readonly unknown[]>(
  listener: ((...given: Given) => unknown) | undefined,
  ...given: Given
): void {
  if (listener === undefined) return
  try {
    const returned = listener(...given)
    if (isThenable(returned)) returned.then(undefined, () => undefined)
  } catch {
    // A listener is told; it is not asked.
  }
}
