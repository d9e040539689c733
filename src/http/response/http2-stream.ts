/* oxlint-disable no-underscore-dangle -- the names that stream.Writable has for its implementers */
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { GuardResponse } from '../handler.ts'
import { LINGER, notSent, type Gated, type Holder } from './holder.ts'

export type Done = (error?: Error | null) => void

/** An action of the stream that waits for its gate. */
interface Step {
  /** The status of the head that it sends; `undefined` if it sends data. */
  readonly status: number | undefined
  run(): void
  /** Reports to its callback that it was dropped. */
  drop?(): void
}

/** Methods of the native handle of a stream, which Node calls to send heads and trailers. */
export type Native = Record<'respond' | 'info' | 'trailers', (...given: unknown[]) => number>

/**
 * One HTTP/2 stream whose response may be held. Node checks and records a head as usual, so a held response behaves like one that
 * is sent; only the last call, which would send it, waits. Data and the end are caught by a prototype between the stream and its
 * class.
 */
export class HeldStream implements Holder {
  readonly #stream: ServerHttp2Stream
  readonly #inner: ServerHttp2Stream
  readonly #steps: Step[] = []
  #gate: Gated | undefined
  #waiting = false
  #refused = false
  /** Whether the refusal is being sent in place of the held response. */
  #answering = false
  #destroyAsked = false

  constructor(stream: ServerHttp2Stream, inner: ServerHttp2Stream, native: Native | undefined) {
    this.#stream = stream
    this.#inner = inner
    if (native === undefined) return
    const { respond, info, trailers } = native
    native.respond = (...given) => this.#send(this.#status, () => respond.apply(native, given))
    native.info = (...given) => {
      const status = Number(stream.sentInfoHeaders?.at(-1)?.[constants.HTTP2_HEADER_STATUS])
      // These have no data. Holding back a 100 would deadlock an upload that waits for it.
      if (status === 100 || status === 102) return info.apply(native, given)
      return this.#send(status, () => info.apply(native, given))
    }
    native.trailers = (...given) => this.#send(undefined, () => trailers.apply(native, given))
  }

  get #status(): number {
    return Number(this.#stream.sentHeaders?.[constants.HTTP2_HEADER_STATUS])
  }

  add(gate: Gated): void {
    this.#gate ??= gate
  }

  remove(gate: Gated): void {
    if (this.#gate === gate) this.#gate = undefined
  }

  wholeAnswerLeft(res: GuardResponse): boolean {
    const { rstCode, aborted } = this.#stream
    return res.writableFinished && rstCode === constants.NGHTTP2_NO_ERROR && !aborted
  }

  /** Sends what Node has recorded as sent, when the gate agrees. A native call returns less than zero if it fails. */
  #send(status: number | undefined, call: () => number): number {
    if (this.#answering) return call()
    if (this.#refused) return 0
    const agreed = this.#steps.length > 0 ? undefined : this.#gate?.ask(status)
    if (this.#steps.length === 0 && agreed === undefined) return call()
    const run = (): void => {
      if (!this.#stream.destroyed && call() < 0) this.#inner.destroy.call(this.#stream, notSent())
    }
    this.#steps.push({ status, run })
    if (agreed !== undefined) this.#wait(agreed)
    return 0
  }

  write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    if (this.#mayPass()) this.#inner._write.call(this.#stream, chunk, encoding, done)
    else this.#hold(() => this.#inner._write.call(this.#stream, chunk, encoding, done), done)
  }

  writeAll(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done): void {
    if (this.#mayPass()) this.#inner._writev?.call(this.#stream, chunks, done)
    else this.#hold(() => this.#inner._writev?.call(this.#stream, chunks, done), done)
  }

  final(done: Done): void {
    if (this.#mayPass()) this.#inner._final.call(this.#stream, done)
    else this.#hold(() => this.#inner._final.call(this.#stream, done), done)
  }

  /** Whether data may be sent at once. */
  #mayPass(): boolean {
    if (this.#refused || this.#steps.length > 0) return false
    const agreed = this.#gate?.ask(undefined)
    if (agreed !== undefined) this.#wait(agreed)
    return agreed === undefined
  }

  #hold(run: () => void, done: Done): void {
    if (this.#refused) done(notSent())
    else this.#steps.push({ status: undefined, run, drop: () => done(notSent()) })
  }

  #advance(): void {
    while (!this.#waiting) {
      const step = this.#steps[0]
      if (step === undefined) break
      const agreed = this.#gate?.ask(step.status)
      if (agreed !== undefined) this.#wait(agreed)
      else this.#runFirst()
    }
  }

  #wait(agreed: Promise<void>): void {
    this.#waiting = true
    agreed.then(
      () => {
        this.#waiting = false
        this.#runFirst()
        this.#advance()
        if (this.#destroyAsked && this.#steps.length === 0) this.#destroyLater()
      },
      () => this.#refuse(),
    )
  }

  #runFirst(): void {
    try {
      this.#steps.shift()?.run()
    } catch (error) {
      this.#inner.destroy.call(this.#stream, error as Error)
    }
  }

  #refuse(): void {
    this.#waiting = false
    const { closed, destroyed } = this.#stream
    const refusal = closed || destroyed ? undefined : this.#gate?.refuse(false)
    this.#refused = true
    if (refusal === undefined) {
      this.#drop()
      if (!destroyed) this.#inner.close.call(this.#stream, constants.NGHTTP2_INTERNAL_ERROR)
      return
    }
    const { body, statusCode } = refusal
    const headers = { ...refusal.getHeaders(), [constants.HTTP2_HEADER_STATUS]: statusCode }
    // Node has recorded a head as sent that was not sent.
    Object.defineProperty(this.#stream, 'headersSent', { value: false, configurable: true })
    this.#answering = true
    try {
      this.#inner.respond.call(this.#stream, headers, { endStream: body.length === 0 })
    } finally {
      this.#answering = false
      Reflect.deleteProperty(this.#stream, 'headersSent')
    }
    const end = (error?: Error | null): void => {
      if (this.#gate !== undefined) this.#gate.refusalSent = error === undefined || error === null
      this.#drop()
      // The caller may still be sending. Destroying the stream makes it stop, after the response was sent.
      setImmediate(() => this.#inner.destroy.call(this.#stream))
    }
    const last = (error?: Error | null): void => {
      if (error) end(error)
      else this.#inner._final.call(this.#stream, end)
    }
    if (body.length === 0) last()
    else this.#inner._write.call(this.#stream, body, 'buffer' as BufferEncoding, last)
  }

  #drop(): void {
    for (const step of this.#steps.splice(0)) step.drop?.()
  }

  /** Whether a complete response is held that can still be sent. */
  get #complete(): boolean {
    const { writableEnded, closed, session } = this.#stream
    return this.#steps.length > 0 && writableEnded && !closed && session !== undefined && !session.destroyed
  }

  close(code: number | undefined, callback: (() => void) | undefined): void {
    if (this.#complete) {
      this.#destroyAsked = true
      if (callback !== undefined) this.#stream.once('close', callback)
      return
    }
    this.#inner.close.call(this.#stream, code, callback)
    this.#drop()
  }

  destroy(error: Error | undefined): void {
    if (this.#complete) {
      this.#destroyAsked = true
      return
    }
    this.#inner.destroy.call(this.#stream, error)
    this.#drop()
  }

  /** A complete response closes its stream by itself, unless the caller keeps sending or does not read it. */
  #destroyLater(): void {
    const timer = setTimeout(() => this.#inner.destroy.call(this.#stream), LINGER)
    timer.unref()
    this.#stream.once('close', () => clearTimeout(timer))
  }
}
