import type { GuardResponse } from '../handler.ts'
import { http2StreamOf } from './http2-layer.ts'
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

/** Headers about the body that the handler meant to send, which are wrong with another body or make Node throw. */
const OF_BODY = [
  'Content-Encoding',
  'Content-Language',
  'Content-Range',
  'Trailer',
  'Transfer-Encoding',
] as const

type Method = (...given: unknown[]) => unknown

/**
 * Sends a refusal in place of a handler that has not responded in time. The handler may still try: a method of Node's response
 * would then throw, often in a callback where nothing catches it, and end the process. So everything that is written later is
 * ignored. If the refusal cannot be sent, the connection is cut.
 */
export function sendProblemInstead(
  res: GuardResponse,
  ...problem: Rest<Parameters<typeof sendProblem>>
): void {
  try {
    forgetBody(res)
    sendProblem(res, ...problem)
  } catch {
    // Usually a timer has called, where an exception would end the process.
    res.destroy()
  }
  for (const name of WRITERS) {
    const before = Reflect.get(res, name) as Method | undefined
    Object.defineProperty(res, name, {
      value(...given: unknown[]) {
        // Other middleware may hold the call of `end` back. To render the head later, Node calls `writeHead` and `write`.
        if (!res.headersSent && before !== undefined) return Reflect.apply(before, res, given)
        const last = given.at(-1)
        if (typeof last === 'function') process.nextTick(last)
        return name === 'write' ? true : res
      },
      configurable: true,
      writable: true,
    })
  }
}

function forgetBody(res: GuardResponse): void {
  for (const name of OF_BODY) if (res.hasHeader(name)) res.removeHeader(name)
  // HTTP/2 has none, and Node would warn.
  if (http2StreamOf(res) === undefined) res.statusMessage = ''
}

type Rest<Tuple extends readonly unknown[]> = Tuple extends [unknown, ...infer Others] ? Others : never
