import type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from './handler.ts'

/** Runs handlers one after another, then calls `done`, with the first error if there is one. */
export function runGuards(
  guards: readonly RequestHandler[],
  req: GuardRequest,
  res: GuardResponse,
  done: NextFunction,
): void {
  let index = 0
  const next: NextFunction = (error) => {
    const guard = guards[index]
    index += 1
    if (error !== undefined) done(error)
    else if (guard === undefined) done()
    else guard(req, res, next)
  }
  next()
}

/** The guards to mount in a framework: a handler, or several in their order. */
export type Guards = RequestHandler | readonly RequestHandler[]

export function listOf(guards: Guards): readonly RequestHandler[] {
  return typeof guards === 'function' ? [guards] : [...guards]
}

export const SOME_GUARDS = {
  expected: 'a guard, or a list of guards and body parsers in their order',
  required: true,
  accepts: (value: unknown): boolean =>
    typeof value === 'function' ||
    (Array.isArray(value) && value.length > 0 && value.every((guard) => typeof guard === 'function')),
}
