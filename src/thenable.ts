/**
 * Whether a value must be waited for. `instanceof Promise` would miss promises of another realm and of other libraries,
 * and take their answer for one that is there already.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
