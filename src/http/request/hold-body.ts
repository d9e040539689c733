import type { GuardRequest } from '../handler.ts'
import { aborted, bodyError, discard, streamProblem, tooLarge, type BodyError } from './read-body.ts'
import { watchBody } from './watched-body.ts'

/**
 * Waits until all bytes of a request have arrived, and calls back once: with a copy of them, or with an error for the error
 * handler. The stream stays unread: later handlers read it from its start.
 *
 * @param limit the most bytes that are held; more are an error with status 413
 */
export function holdBody(
  req: GuardRequest,
  limit: number,
  done: (error: BodyError | undefined, bytes: Buffer) => void,
): void {
  const { 'content-length': declared, 'transfer-encoding': coding } = req.headers
  const expected = coding === undefined && declared !== undefined ? Number(declared) : undefined
  const tooLong = expected !== undefined && expected > limit
  const problem = streamProblem(req) ?? readerProblem(req) ?? (tooLong ? tooLarge() : undefined)
  if (problem !== undefined) {
    discard(req)
    done(problem, Buffer.alloc(0))
    return
  }
  const chunks: Uint8Array[] = []
  let length = 0
  arrive(req, {
    take(chunk) {
      chunks.push(chunk)
      length += chunk.length
      return length > limit ? tooLarge() : undefined
    },
    finish(error) {
      const wrongLength = expected !== undefined && length !== expected
      const refusal =
        error ??
        (wrongLength
          ? bodyError(400, 'request.size.invalid', 'the length of the body is not its Content-Length')
          : undefined)
      if (error !== undefined) discard(req)
      done(refusal, refusal === undefined ? Buffer.concat(chunks, length) : Buffer.alloc(0))
    },
  })
}

/**
 * Waits for the first byte of a request or for its end, and calls back once with whether there is content. The stream stays
 * unread.
 */
export function awaitContent(
  req: GuardRequest,
  done: (error: BodyError | undefined, hasContent: boolean) => void,
): void {
  // A stream that cannot be watched any longer counts as content. Its reader knows whether there was any.
  if (req.readableLength > 0 || streamProblem(req) !== undefined) {
    done(undefined, true)
    return
  }
  let found = false
  arrive(req, {
    take(chunk) {
      found ||= chunk.length > 0
      return found ? FOUND : undefined
    },
    finish: (error) => done(error === FOUND ? undefined : error, found),
  })
}

/** Ends the wait for content. It never leaves this file. */
const FOUND: BodyError = bodyError(500, 'found', 'there is content')

interface Arrival {
  /** Returns what ends the wait; `undefined` to continue. */
  take(chunk: Uint8Array): BodyError | undefined
  finish(error: BodyError | undefined): void
}

/** Waits for the bytes of an unread request. */
function arrive(req: GuardRequest, { take, finish }: Arrival): void {
  let over = false
  // Listeners for `data` make a stream flow, which would leave nothing for later handlers.
  const flows = req.readableFlowing !== false && req.listenerCount('data') > 0
  if (flows) req.pause()
  const settle = (error: BodyError | undefined): void => {
    if (over) return
    over = true
    stop?.()
    req.off('error', abort).off('close', abort)
    if (flows) req.resume()
    finish(error)
  }
  const abort = (): void => settle(aborted())
  req.on('error', abort).on('close', abort)
  let stop: (() => void) | undefined
  stop = watchBody(req, {
    eager: true,
    bytes(chunk) {
      if (over) return
      const end = take(chunk)
      if (end !== undefined) settle(end)
    },
    end() {
      // After the end itself: the next readers then find the whole body.
      process.nextTick(() => settle(undefined))
      return true
    },
  })
  if (over) stop()
}

/** Why a stream that already has a reader cannot be kept for later handlers. */
function readerProblem(req: GuardRequest): BodyError | undefined {
  const reads = req.listenerCount('readable') > 0 || (req.readableLength > 0 && req.listenerCount('data') > 0)
  if (!reads) return undefined
  return bodyError(
    500,
    'stream.not.readable',
    'other middleware reads the request before bodyParsers(): mount bodyParsers() first',
  )
}
