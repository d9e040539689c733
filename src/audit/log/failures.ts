import { UnavailableError } from '../../errors.ts'
import { isThenable } from '../../thenable.ts'

/** A function that passes failures to a callback. An error of the callback is ignored, because it must not harm the log. */
export function errorReporter(onError: ((error: Error) => void) | undefined): (cause: unknown) => void {
  return (cause) => {
    try {
      const returned: unknown = onError?.(
        cause instanceof Error ? cause : new UnavailableError('the audit log failed'),
      )
      if (isThenable(returned)) returned.then(undefined, () => undefined)
    } catch {
      // Ignored.
    }
  }
}

export function queueFull(waiting: number): UnavailableError {
  return new UnavailableError(
    `the audit queue is full (${waiting} events): neither the store nor the spool accepts new events`,
  )
}
