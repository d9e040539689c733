/* oxlint-disable no-underscore-dangle -- the names that stream.Readable has for its implementers */
import type { GuardRequest } from '../handler.ts'

/** Sees the bytes of a request as they enter its stream, before they are read. */
export interface BodyWatcher {
  /** The next bytes, in order. */
  bytes(chunk: Uint8Array): void
  /** The next bytes, before the readers of the stream get them. True withholds them from all readers. */
  withholds?(chunk: Uint8Array): boolean
  /** All bytes have arrived. False withholds the end from the readers of the stream. */
  end(): boolean
  /** Whether the source must not be paused, because all bytes must arrive even if nobody reads them. */
  readonly eager: boolean
}

/** The parts of a `stream.Readable` for its implementers. */
interface Implemented {
  push(chunk: unknown, encoding?: BufferEncoding): boolean
  _read(size: number): void
  /** Node has no public names for "the end was pushed, but not read yet" and "nothing was read yet". */
  readonly _readableState?: { readonly ended?: unknown; dataEmitted?: unknown }
}

/**
 * Watches the bytes that enter the stream of a request, without reading it: later readers read it from its start. Bytes that
 * already wait in the stream are seen at once.
 *
 * Every source passes bytes to a stream by its method `push`: the parser of HTTP/1, the sessions of HTTP/2, and adapters.
 *
 * @returns a function that stops watching
 */
export function watchBody(req: GuardRequest, watcher: BodyWatcher): () => void {
  const stream = req as GuardRequest & Implemented
  const { _readableState: state, push } = stream
  const waiting = takeWaiting(req)
  if (waiting !== undefined) {
    // The bytes were read, and are put back: Node does not emit `end` while bytes wait.
    req.unshift(waiting)
    // Other code, such as Hono, would treat a stream that seems to have been read as a consumed body.
    if (state !== undefined) state.dataEmitted = false
    watcher.bytes(waiting)
  }
  if (state?.ended === true) {
    watcher.end()
    return () => undefined
  }
  const own = Object.hasOwn(req, 'push')
  let watching = true
  const stop = (): void => {
    if (!watching) return
    watching = false
    if (own) stream.push = push
    else delete (stream as Partial<Implemented>).push
  }
  // A stream whose buffer is full does not ask its source for more, and some sources wait for that.
  const ask = (): void => {
    if (watching && req.readableLength >= req.readableHighWaterMark) stream._read(req.readableHighWaterMark)
  }
  stream.push = (chunk, encoding) => {
    if (!watching) return push.call(req, chunk, encoding)
    if (chunk === null) {
      stop()
      return watcher.end() && push.call(req, null)
    }
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : (chunk as Uint8Array)
    if (watcher.withholds?.(bytes) === true) return true
    const wantsMore = push.call(req, chunk, encoding)
    watcher.bytes(bytes)
    if (!watcher.eager) return wantsMore
    process.nextTick(ask)
    return true
  }
  // Some sources do not start without a reader.
  if (watcher.eager) req.read(0)
  return stop
}

/**
 * Takes all bytes that wait in a stream. A flowing stream returns one chunk per call. Listeners for `data` are not called: they
 * get the bytes when these are put back.
 */
function takeWaiting(req: GuardRequest): Uint8Array | undefined {
  if (req.readableLength === 0) return undefined
  const chunks: Uint8Array[] = []
  const own = Object.hasOwn(req, 'emit')
  const { emit } = req
  req.emit = () => false
  try {
    while (req.readableLength > 0) {
      const chunk: unknown = req.read()
      if (!(chunk instanceof Uint8Array)) break
      chunks.push(chunk)
    }
  } finally {
    if (own) req.emit = emit
    else delete (req as Partial<GuardRequest>).emit
  }
  return chunks.length > 1 ? Buffer.concat(chunks) : chunks[0]
}
