import type { GuardRequest } from '../handler.ts'

/** An error with the members that error handlers know from body-parser. No message contains a part of the body. */
export interface BodyError extends Error {
  readonly status: number
  readonly statusCode: number
  /** Whether the message may be shown to the caller. */
  readonly expose: boolean
  /** Stable and machine-readable: `entity.too.large`. */
  readonly type: string
}

export function bodyError(status: number, type: string, message: string): BodyError {
  return Object.assign(new Error(message), { status, statusCode: status, expose: status < 500, type })
}

/**
 * Reads the bytes of an unread request, whatever the state of its stream, and calls back once: with the bytes, or with an error
 * for the error handler. After an error the rest is discarded as it arrives, because the caller must be able to read the
 * response.
 *
 * @param limit the most bytes that are read; more are an error with status 413
 */
export function readBody(
  req: GuardRequest,
  limit: number,
  done: (error: BodyError | undefined, bytes: Buffer) => void,
): void {
  const { 'content-length': declared, 'transfer-encoding': coding } = req.headers
  const expected = coding === undefined && declared !== undefined ? Number(declared) : undefined
  const chunks: Uint8Array[] = []
  let length = 0

  const take = (chunk: unknown): void => {
    // Another reader of the stream can set an encoding at any time.
    if (!(chunk instanceof Uint8Array)) return stop(notBytes())
    chunks.push(chunk)
    length += chunk.length
    if (length > limit) stop(tooLarge())
  }
  const end = (): void => {
    if (expected !== undefined && length !== expected) {
      return stop(bodyError(400, 'request.size.invalid', 'the length of the body is not its Content-Length'))
    }
    letGo()
    done(undefined, Buffer.concat(chunks, length))
  }
  const abort = (): void => stop(aborted())
  // A pipe to a slow stream pauses the request, and one that is never read would pause it forever.
  const goOn = (): void => process.nextTick(() => req.resume())
  // A stream with a listener for `readable` emits data only if `read()` is called.
  const pull = (): void => {
    while (req.read() !== null) continue
  }
  function letGo(): void {
    req.off('data', take).off('end', end).off('error', abort).off('close', abort)
    req.off('pause', goOn).off('readable', pull)
  }
  function stop(error: BodyError): void {
    letGo()
    discard(req)
    done(error, Buffer.alloc(0))
  }

  const problem = streamProblem(req) ?? (expected !== undefined && expected > limit ? tooLarge() : undefined)
  if (problem !== undefined) return stop(problem)
  req.on('data', take).on('end', end).on('error', abort).on('close', abort).on('pause', goOn)
  if (req.listenerCount('readable') > 0) req.on('readable', pull)
  req.resume()
}

/** Why the bytes of a stream cannot be read as they arrived. */
export function streamProblem(req: GuardRequest): BodyError | undefined {
  if (req.readableEnded) {
    return bodyError(
      500,
      'stream.not.readable',
      'the body was read before bodyParsers(): mount bodyParsers() first',
    )
  }
  if (req.destroyed || req.errored) return aborted()
  if (req.readableEncoding || req.readableObjectMode) return notBytes()
  if (!req.readable || req.readableDidRead) {
    return bodyError(
      500,
      'stream.not.readable',
      'a part of the body was read before bodyParsers(): mount bodyParsers() first',
    )
  }
  return undefined
}

/** Discards the rest of the body. A later error of the stream has no other listener, and must not end the process. */
export function discard(req: GuardRequest): void {
  req.on('error', () => undefined)
  req.resume()
}

export function tooLarge(): BodyError {
  return bodyError(413, 'entity.too.large', 'the body is too large')
}

export function aborted(): BodyError {
  return bodyError(400, 'request.aborted', 'the request ended early')
}

function notBytes(): BodyError {
  return bodyError(
    500,
    'stream.encoding.set',
    'the body does not arrive as bytes: do not call setEncoding() on the request before bodyParsers()',
  )
}
