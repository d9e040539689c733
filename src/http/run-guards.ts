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
    isHandler(value) || (Array.isArray(value) && value.length > 0 && value.every(isHandler)),
  hint: (value: unknown): string | undefined => {
    const written: readonly unknown[] = Array.isArray(value) ? value : [value]
    const factory = written.find((guard) => typeof guard === 'function' && !isHandler(guard))
    return factory === undefined ? undefined : `; call it: \`${(factory as RequestHandler).name}({ … })\``
  },
}

/** A function with one parameter is a factory that was not called: a handler takes `next` too. */
function isHandler(value: unknown): boolean {
  return typeof value === 'function' && value.length !== 1
}
