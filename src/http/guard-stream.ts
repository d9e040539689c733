import type { EventEmitter } from 'node:events'
import {
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
import { sendError } from './response/plain-error.ts'
import { runGuards } from './run-guards.ts'

type StreamEvent = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
]

/** The request and response objects by which guards judge a stream. */
class JudgedStream {
  readonly req: GuardRequest
  readonly res: GuardResponse
  readonly #stream: ServerHttp2Stream
  /** The listeners that these objects have added to the stream. */
  readonly #listeners: readonly Listener[]
  #attached = true

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
    const before = listenersOf(stream)
    this.#stream = stream
    this.req = new Http2ServerRequest(stream, headers, {}, rawHeaders) as unknown as GuardRequest
    this.res = new Http2ServerResponse(stream) as unknown as GuardResponse
    this.#listeners = listenersOf(stream).filter(
      ([name, listener]) => !before.some(([known, other]) => known === name && other === listener),
    )
  }

  /** Adds the listeners again: several guards may judge one stream, one after another. */
  attach(): void {
    if (this.#attached) return
    this.#attached = true
    for (const [name, listener] of this.#listeners) this.#stream.on(name, listener)
  }

  /** Removes the listeners. Otherwise Node would also request trailers from this response. */
  detach(): void {
    this.#attached = false
    for (const [name, listener] of this.#listeners) this.#stream.off(name, listener)
  }
}

type Listener = [name: string | symbol, listener: (...given: unknown[]) => void]

function listenersOf(stream: EventEmitter): Listener[] {
  return stream
    .eventNames()
    .flatMap((name) => stream.rawListeners(name).map((listener) => [name, listener] as Listener))
}

/** One per stream, shared by all guards that judge it. */
const judged = new WeakMap<object, JudgedStream>()

/**
 * Judges the event `stream` of a `node:http2` server if the method is CONNECT. Other streams are requests, which guards judge on
 * the event `request`.
 */
export function judgeStream(
  given: readonly unknown[],
  guards: readonly RequestHandler[],
  pass: () => boolean,
): boolean {
  const [stream, headers, , rawHeaders] = given as StreamEvent
  if (headers[':method'] !== 'CONNECT') return pass()
  const known = judged.get(stream) ?? new JudgedStream(stream, headers, rawHeaders)
  judged.set(stream, known)
  known.attach()
  const { req, res } = known
  // After the end of the response nothing is read, and the caller may never end its half of the stream.
  const close = (): void => stream.close()
  res.once('finish', close)
  runGuards(guards, req, res, (error) => {
    if (error !== undefined) {
      sendError(res, error)
      return
    }
    if (stream.destroyed || stream.headersSent) return
    res.off('finish', close)
    known.detach()
    stream.once('close', () => res.emit('close'))
    pass()
  })
  return true
}

/** Whether the request belongs to a stream that was already judged. If so, the request gets the context of that stream. */
export function isOfStream(req: GuardRequest & { readonly stream?: object }): boolean {
  const known = req.stream && judged.get(req.stream)
  if (known === undefined) return false
  if (known.req.portcullis !== undefined) req.portcullis = known.req.portcullis
  return true
}
