import type { ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { GuardResponse } from '../handler.ts'
import { canHoldCalls, heldResponseOf } from './adapter-response.ts'
import { connectionOf, socketOf } from './connection.ts'
import { endsWithHead, type Holder } from './holder.ts'
import { canHoldStream, heldStreamOf, http2StreamOf } from './http2-layer.ts'

/** How a response is delivered: by a stream of HTTP/2, a connection of HTTP/1, or calls of an adapter. */
export class Delivery {
  readonly #res: GuardResponse
  readonly #stream: ServerHttp2Stream | undefined
  readonly #socket: Socket | undefined

  constructor(res: GuardResponse) {
    this.#res = res
    this.#stream = http2StreamOf(res)
    this.#socket = this.#stream === undefined ? socketOf(res) : undefined
  }

  /**
   * The object that holds its bytes.
   *
   * @throws TypeError if this response cannot be held
   */
  get holder(): Holder {
    if (this.#stream !== undefined) return heldStreamOf(this.#stream)
    return this.#socket === undefined ? heldResponseOf(this.#res) : connectionOf(this.#socket)
  }

  /** Why the response cannot be held; `undefined` if it can. */
  get whyNotHeld(): string | undefined {
    if (this.#stream !== undefined) {
      return canHoldStream(this.#stream)
        ? undefined
        : 'this version of Node does not expose the streams of HTTP/2'
    }
    if (this.#socket !== undefined || canHoldCalls(this.#res)) return undefined
    return 'the response has no connection, and it is not an `http.ServerResponse` either'
  }

  /** Calls back when the response is over, however it ends, possibly more than once. */
  whenOver(end: () => void): void {
    const res = this.#res
    if (this.#stream !== undefined || (this.#socket !== undefined && res.socket)) {
      res.on('close', end)
      return
    }
    if (this.#socket === undefined) {
      // Adapters may emit only `finish`, and may do so during the call of `end`.
      const later = (): void => process.nextTick(end)
      res.on('close', later)
      res.on('finish', later)
      return
    }
    // When a connection closes, Node emits nothing on responses that wait behind others on it.
    const connection = connectionOf(this.#socket)
    const once = (): void => {
      connection.forget(once)
      end()
    }
    connection.whenClosed(once)
    res.on('close', once)
  }

  /**
   * Whether a response that is over and was not held was passed to the network completely. Node sets `writableFinished` even if
   * the connection was cut.
   */
  get wholeAnswerLeft(): boolean {
    const res = this.#res
    if (this.#stream !== undefined) return res.writableFinished && this.#stream.rstCode === 0
    if (this.#socket === undefined) return res.writableEnded
    if (res.writableFinished && !this.#socket.destroyed) return true
    return endsWithHead(res) && res.headersSent && res.writableLength === 0
  }
}
