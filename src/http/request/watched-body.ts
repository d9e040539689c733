/* oxlint-disable no-underscore-dangle -- the names that stream.Readable has for its implementers */
import type { GuardRequest } from '../handler.ts'

/** Sees the bytes of a request as its stream takes them in, before anybody reads them. */
export interface BodyWatcher {
  /** The next bytes, in order. */
  bytes(chunk: Uint8Array): void
  /** The next bytes, before the readers of the stream can have them. True keeps them from all readers. */
  withholds?(chunk: Uint8Array): boolean
  /** All bytes have arrived. False keeps the end from the readers of the stream. */
  end(): boolean
  /** Whether the source must not be paused, so that all bytes arrive though nobody reads them. */
  readonly eager: boolean
}

/** What `stream.Readable` asks of those who implement it. */
interface Implemented {
  push(chunk: unknown, encoding?: BufferEncoding): boolean
  _read(size: number): void
  /** Node has no public names for "the end was pushed, and nobody has read up to it" and for "nobody has read yet". */
  readonly _readableState?: { readonly ended?: unknown; dataEmitted?: unknown }
}

/**
 * Watches what the stream of a request is given, and reads nothing of it: whoever reads it later reads it from its start.
 * Bytes that wait in the stream already are seen at once.
 *
 * Every source hands bytes to a stream by its method `push`: the parser of HTTP/1, the sessions of HTTP/2, and adapters.
 *
 * @returns a function that stops the watching.
 */
export function watchBody(req: GuardRequest, watcher: BodyWatcher): () => void {
  const stream = req as GuardRequest & Implemented
  const { _readableState: state, push } = stream
  const waiting = takeWaiting(req)
  if (waiting !== undefined) {
    // Read and put back: Node does not emit `end` while bytes wait.
    req.unshift(waiting)
    // Others, such as Hono, take a stream that seems to have been read for a body that is gone.
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
  // A source that waits to be asked is not asked by a stream whose buffer is full.
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
  // Without a reader some sources do not begin.
  if (watcher.eager) req.read(0)
  return stop
}

/**
 * Takes all bytes that wait in a stream. A flowing stream gives one chunk at each call. Listeners for `data` are not told:
 * they get the bytes when those are put back.
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
