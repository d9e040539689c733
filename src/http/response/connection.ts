/* oxlint-disable no-underscore-dangle -- the names that stream.Writable has for its implementers */
import type { Socket } from 'node:net'
import type { GuardResponse } from '../handler.ts'
import { endsWithHead, isInformational, LINGER, notSent, type Gated, type Holder } from './holder.ts'

type Done = (error?: Error | null) => void

interface Chunk {
  readonly chunk: unknown
  readonly encoding: BufferEncoding
}

/** The methods of a `stream.Writable` for its implementers, and those that sockets add. */
interface Sending {
  _write(chunk: unknown, encoding: BufferEncoding, done: Done): void
  _writev?: ((chunks: readonly Chunk[], done: Done) => void) | null | undefined
  destroy(error?: Error): unknown
}

const connectionKey = Symbol('portcullis.connection')

type HeldSocket = Socket &
  Sending & {
    [connectionKey]?: Connection
    /** The response that Node currently sends. Node clears it when the response is detached. */
    readonly _httpMessage?: GuardResponse | null
  }

/** Informational responses without any data. Holding back a 100 would deadlock an upload that waits for it. */
const INTERIM: ReadonlySet<unknown> = new Set([
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 102 Processing\r\n\r\n',
])

/** A call of the socket's `_write` or `_writev` that waits. Node makes the next call only when this one is done. */
interface Held {
  readonly gate: Gated
  readonly chunk: unknown
  readonly encoding: BufferEncoding | undefined
  readonly done: Done
}

/**
 * One connection whose responses may be held. It wraps the methods of the socket: everything that any method of a response sends
 * passes through them, in order, with its head already fixed. The methods of responses therefore need no wrappers, and a held
 * response behaves like one that is sent.
 */
export class Connection implements Holder {
  readonly #socket: HeldSocket
  readonly #inner: Sending
  readonly #gates: Gated[] = []
  readonly #ends = new Set<() => void>()
  #held: Held | undefined
  #endAsked = false

  constructor(socket: HeldSocket, inner: Sending) {
    this.#socket = socket
    this.#inner = inner
    socket.once('close', () => {
      for (const end of this.#ends) end()
      // Node does not report the end of a response that a handler has detached.
      for (const gate of this.#gates.slice()) gate.over()
    })
  }

  wholeAnswerLeft(res: GuardResponse, headSent: boolean): boolean {
    return (res.writableFinished && !this.#socket.destroyed) || (headSent && endsWithHead(res))
  }

  add(gate: Gated): void {
    this.#gates.push(gate)
  }

  remove(gate: Gated): void {
    const index = this.#gates.indexOf(gate)
    if (index === this.#gates.length - 1) this.#gates.pop()
    else if (index !== -1) this.#gates.splice(index, 1)
  }

  /** Calls back when the connection closes. Node reports this only to the response that it currently sends. */
  whenClosed(end: () => void): void {
    this.#ends.add(end)
  }

  forget(end: () => void): void {
    this.#ends.delete(end)
  }

  /**
   * The gate of the response that Node currently sends. If a handler has detached that response and writes to the socket itself,
   * it is the first gate whose response is not finished.
   */
  #gate(): Gated | undefined {
    const turn = this.#socket._httpMessage
    for (let index = 0; index < this.#gates.length; index += 1) {
      const gate = this.#gates[index] as Gated
      if (gate.res.socket === this.#socket || (!turn && !gate.res.writableFinished)) return gate
    }
    return undefined
  }

  write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    const gate = INTERIM.has(chunk) ? undefined : this.#gate()
    const agreed = gate?.ask(statusIn(chunk))
    if (gate !== undefined && agreed !== undefined) {
      this.#hold({ gate, chunk, encoding, done }, agreed)
      return
    }
    if (gate !== undefined) noteHead(gate)
    this.#inner._write.call(this.#socket, chunk, encoding, done)
  }

  writeAll(chunks: readonly Chunk[], done: Done): void {
    const gate = this.#gate()
    // Early hints may precede the head in the same call; the head has the status.
    let status = statusIn(chunks[0]?.chunk)
    for (let index = 1; index < chunks.length && isInformational(status); index += 1)
      status = statusIn(chunks[index]?.chunk)
    const agreed = gate?.ask(status)
    if (gate !== undefined && agreed !== undefined) {
      this.#hold({ gate, chunk: chunks, encoding: undefined, done }, agreed)
      return
    }
    if (gate !== undefined) noteHead(gate)
    this.#inner._writev?.call(this.#socket, chunks, done)
  }

  #hold(held: Held, agreed: Promise<void>): void {
    this.#held = held
    agreed.then(
      () => this.#release(held),
      () => this.#refuse(held),
    )
  }

  #release(held: Held): void {
    if (this.#held !== held) return
    this.#held = undefined
    const { gate, chunk, encoding, done } = held
    noteHead(gate)
    if (encoding === undefined) this.#inner._writev?.call(this.#socket, chunk as readonly Chunk[], done)
    else this.#inner._write.call(this.#socket, chunk, encoding, done)
    if (this.#endAsked) this.#endLater()
  }

  #refuse(held: Held): void {
    if (this.#held !== held) return
    this.#held = undefined
    const { gate, done } = held
    const end = (error?: Error | null): void => {
      gate.refusalSent = error === undefined || error === null
      this.#inner.destroy.call(this.#socket)
      done(notSent())
    }
    const refusal = gate.refuse(true)
    if (refusal === undefined) end(notSent())
    else this.#inner._write.call(this.#socket, refusal.bytes, 'buffer' as BufferEncoding, end)
  }

  /**
   * Destroys the connection, unless a complete response is held on it: then the connection ends after that response. The error
   * handlers of Express destroy the connection if a handler fails after it has responded.
   */
  destroy(error: Error | undefined): void {
    const held = this.#held
    const { res } = held?.gate ?? {}
    if (held !== undefined && res !== undefined && (res.writableEnded || !res.headersSent)) {
      this.#endAsked = true
      if (typeof this.#socket.destroySoon === 'function') this.#socket.destroySoon()
      else this.#socket.end(() => this.#inner.destroy.call(this.#socket))
      return
    }
    this.#held = undefined
    this.#inner.destroy.call(this.#socket, error)
    held?.done(notSent())
  }

  #endLater(): void {
    const timer = setTimeout(() => this.#inner.destroy.call(this.#socket), LINGER)
    timer.unref()
    this.#socket.once('close', () => clearTimeout(timer))
  }
}

/** Notes that bytes are passed on. They contain the head, unless they are those of an informational response. */
function noteHead(gate: Gated): void {
  if (gate.status !== undefined) gate.headSent = true
}

/** The status in a head that Node has rendered; `undefined` for anything else. */
function statusIn(first: unknown): number | undefined {
  return typeof first === 'string' && first.startsWith('HTTP/1.1 ') ? Number(first.slice(9, 12)) : undefined
}

const LAYER: ThisType<HeldSocket & { [connectionKey]: Connection }> & Required<Sending> = {
  _write(chunk, encoding, done) {
    this[connectionKey].write(chunk, encoding, done)
  },
  _writev(chunks, done) {
    this[connectionKey].writeAll(chunks, done)
  },
  destroy(error) {
    this[connectionKey].destroy(error)
    return this
  },
}

/**
 * Own methods of the socket. All sockets get the same ones in the same order, and therefore share one hidden class. With a
 * prototype in between, each socket would get a class of its own, and all work of Node on sockets would be slower.
 */
function layerFor({ _writev }: Sending, connection: Connection): PropertyDescriptorMap {
  const { _write, destroy } = LAYER
  return {
    [connectionKey]: { value: connection },
    _write: hidden(_write),
    destroy: hidden(destroy),
    // A stream without `_writev` must not seem to have one.
    ...(typeof _writev === 'function' && { _writev: hidden(LAYER._writev) }),
  }
}

function hidden(value: unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: false }
}

/** The socket on which a response is sent, now or later; `undefined` if an adapter has none. */
export function socketOf(res: GuardResponse): Socket | undefined {
  const { socket } = (res.req ?? {}) as unknown as { socket?: Partial<Sending> | null }
  if (typeof socket?._write !== 'function' || typeof socket.destroy !== 'function') return undefined
  // Some adapters give a response a stream of its own, which leads nowhere.
  return res.socket && res.socket !== (socket as unknown) ? undefined : (socket as unknown as Socket)
}

/** The connection of this socket, the same one for all requests. The socket may be any stream that an `http.Server` accepts. */
export function connectionOf(socket: Socket): Connection {
  const held = socket as HeldSocket
  const known = held[connectionKey]
  if (known !== undefined) return known
  // Streams that were created with options have methods of their own.
  const { _write, _writev, destroy } = held
  const own = Object.hasOwn(held, '_write')
  const inner: Sending = own ? { _write, _writev, destroy } : (Object.getPrototypeOf(held) as Sending)
  const connection = new Connection(held, inner)
  Object.defineProperties(held, layerFor(inner, connection))
  return connection
}
