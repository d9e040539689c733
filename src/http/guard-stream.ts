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

/** Request and response of a stream as guards judge it. */
class JudgedStream {
  readonly req: GuardRequest
  readonly res: GuardResponse
  readonly #stream: ServerHttp2Stream
  /** What the two have added to the stream. */
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

  /** Several guards may judge one stream, each behind the last. */
  attach(): void {
    if (this.#attached) return
    this.#attached = true
    for (const [name, listener] of this.#listeners) this.#stream.on(name, listener)
  }

  /** Takes the two off the stream. Node would ask each response of it for trailers. */
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

/** One for each stream: several guards share what is known of it. */
const judged = new WeakMap<object, JudgedStream>()

/**
 * Judges the event `stream` of a server of `node:http2` where the method is CONNECT. Other streams are requests, which guards
 * meet behind the event `request`.
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
  // Behind the end of the answer nothing is read, and the caller may never end its own half.
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

/** Whether the request is one of a stream that was judged; it is told what guards have found. */
export function isOfStream(req: GuardRequest & { readonly stream?: object }): boolean {
  const known = req.stream && judged.get(req.stream)
  if (known === undefined) return false
  if (known.req.portcullis !== undefined) req.portcullis = known.req.portcullis
  return true
}
