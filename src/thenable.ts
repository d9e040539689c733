/**
 * Whether a value must be awaited. `instanceof Promise` would miss promises of other realms and libraries, and treat the promise
 * itself as the result.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
