import { UnavailableError } from './errors.ts'

/** The platform's own timer, kept because a test may later replace `setImmediate`. */
const afterInput = setImmediate

/** Settles like `promise`, or rejects after `limit` milliseconds with an `UnavailableError` that names `asked`. */
export function withDeadline<T>(promise: PromiseLike<T>, limit: number, asked: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new UnavailableError(`${asked} gave no answer within ${limit} ms`))
    // An answer that arrived while the event loop was busy is read before the deadline takes effect.
    const timer = setTimeout(() => afterInput(late), limit)
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}
