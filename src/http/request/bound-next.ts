import { AsyncResource } from 'node:async_hooks'
import type { NextFunction } from '../handler.ts'

/**
 * `next`, bound to the current async context. Later handlers belong to the context of their request, but events of a body belong
 * to that of the connection. `AsyncResource.bind` does the same, and takes about 15 µs on Node 20.
 */
export function boundNext(next: NextFunction): NextFunction {
  const context = new AsyncResource('portcullis.body')
  return (error) => context.runInAsyncScope(next, undefined, error)
}
