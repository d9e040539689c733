import { UnavailableError } from './errors.ts'

/** That of the platform, whatever clock a test puts in its place later. */
const afterInput = setImmediate

/** Settles as the promise does, or rejects with `UnavailableError` after `limit` milliseconds, naming who was asked. */
export function withDeadline<T>(promise: PromiseLike<T>, limit: number, asked: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new UnavailableError(`${asked} gave no answer within ${limit} ms`))
    // After an answer that has come while the event loop was busy, and only waits to be read.
    const timer = setTimeout(() => afterInput(late), limit)
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}
