import type { GuardResponse } from '../handler.ts'
import { sendProblem } from './problem.ts'

/** The methods of a response that write to it or throw once it has been sent. */
const WRITERS = [
  'addTrailers',
  'appendHeader',
  'end',
  'flushHeaders',
  'removeHeader',
  'setHeader',
  'setHeaders',
  'setTrailer',
  'write',
  'writeContinue',
  'writeEarlyHints',
  'writeHead',
  'writeProcessing',
] as const

/**
 * Sends a refusal in place of a handler that has not responded in time. The handler may still try: a method of Node's response
 * would then throw, often in a callback where nothing catches it, and end the process. So everything that is written later is
 * ignored.
 */
export function sendProblemInstead(
  res: GuardResponse,
  ...problem: Rest<Parameters<typeof sendProblem>>
): void {
  sendProblem(res, ...problem)
  for (const name of WRITERS) {
    Object.defineProperty(res, name, {
      value(...given: unknown[]) {
        const last = given.at(-1)
        if (typeof last === 'function') process.nextTick(last)
        return name === 'write' ? true : res
      },
      configurable: true,
      writable: true,
    })
  }
}

type Rest<Tuple extends readonly unknown[]> = Tuple extends [unknown, ...infer Others] ? Others : never
