import type { OutgoingHttpHeaders } from 'node:http'
import type { GuardResponse } from '../handler.ts'
import { canHoldCalls, heldResponseOf } from './adapter-response.ts'
import { connectionOf, socketOf } from './connection.ts'
import { isInformational, Refusal, type Gated, type Holder } from './holder.ts'
import { canHoldStream, heldStreamOf, http2StreamOf } from './http2-layer.ts'

export interface GateKeeper {
  /**
   * Called before bytes of the response leave, with the status that its head has, once that is known. What it returns is
   * waited for.
   */
  before(status: number | undefined): void | Promise<void>
  /** Writes the answer that is sent when `before` has thrown or rejected ahead of the first byte. */
  refuse(res: GuardResponse): void
  /** Told that the response is over, where Node may not tell it by `close`. It may be told more than once. */
  over?(): void
}

/**
 * Holds a response back until its keepers have agreed, so that no byte leaves before what it must wait for has happened.
 *
 * The bytes are held behind everything that makes them: on the connection, or with HTTP/2 on the stream. An adapter without a
 * connection has its calls held instead. To handlers and other middleware a held response
 * is one that is sent: its head is fixed, what throws then throws, and the methods, events and callbacks are those of Node.
 * While the keepers agree at once nothing is held.
 *
 * When a keeper refuses ahead of the first byte, its own answer leaves in place of all that was held, on a head as it was
 * when the gate was made, and the connection closes (with HTTP/2 the stream); further behind the connection is cut. To its handler either is a caller
 * that has gone away.
 */
export class Gate implements Gated {
  readonly res: GuardResponse
  refusalSent: boolean | undefined
  readonly #holder: Holder
  readonly #keepers: GateKeeper[]
  readonly #headersBefore: OutgoingHttpHeaders
  #status: number | undefined
  #begun = false
  #expectsErrors = false

  /** @throws TypeError when this response cannot be held. */
  constructor(res: GuardResponse, keeper: GateKeeper) {
    this.res = res
    this.#keepers = [keeper]
    this.#headersBefore = res.getHeaders()
    this.#holder = holderOf(res)
    this.#holder.add(this)
  }

  /** The status of the head that Node has rendered; `undefined` until there is one. */
  get status(): number | undefined {
    return this.#status
  }

  /** Whether bytes have left, other than those of informational responses. */
  get begun(): boolean {
    return this.#begun
  }

  /** Whether the answer of the handler was handed to the network to its end; asked when the response is over. */
  get wholeAnswerLeft(): boolean {
    return this.refusalSent === undefined && this.#holder.wholeAnswerLeft(this.res)
  }

  /** One more has to agree to every part. */
  add(keeper: GateKeeper): void {
    this.#keepers.push(keeper)
  }

  /** The response is over. */
  close(): void {
    this.#holder.remove(this)
  }

  over(): void {
    for (const keeper of this.#keepers) keeper.over?.()
  }

  ask(status: number | undefined): Promise<void> | undefined {
    const informational = this.#status === undefined && isInformational(status)
    if (!informational) this.#status ??= status ?? this.res.statusCode
    let asked: Promise<void>[] | undefined
    for (const keeper of this.#keepers) {
      let agreed: void | Promise<void>
      try {
        agreed = keeper.before(this.#status)
      } catch (error) {
        agreed = Promise.reject(error)
      }
      if (agreed !== undefined) (asked ??= []).push(agreed)
    }
    // Behind an informational response there may still be another answer.
    const begins = this.#begun || !informational
    if (asked !== undefined) {
      this.#expectErrors()
      return this.#all(asked, begins)
    }
    this.#begun = begins
    return undefined
  }

  /**
   * A write behind the end is an error that Node tells of as long as the response is not over, and it ends the process where
   * nobody listens. While it is held a response is not over for longer than its handler may reckon with.
   */
  #expectErrors(): void {
    if (this.#expectsErrors) return
    this.#expectsErrors = true
    this.res.on('error', ignore)
  }

  async #all(asked: Promise<void>[], begins: boolean): Promise<void> {
    await Promise.all(asked)
    this.#begun = begins
  }

  refuse(chunked: boolean): Refusal | undefined {
    if (this.#begun) return undefined
    try {
      const refusal = new Refusal(this.res, chunked)
      for (const [name, value] of Object.entries(this.#headersBefore)) {
        if (value !== undefined) refusal.setHeader(name, value)
      }
      this.#keepers[0]?.refuse(refusal)
      if (!refusal.writableEnded) return undefined
      this.res.statusCode = refusal.statusCode
      return refusal
    } catch {
      return undefined
    }
  }
}

function ignore(): void {}

/** Puts a gate in front of a response. */
export function gateResponse(res: GuardResponse, keeper: GateKeeper): Gate {
  return new Gate(res, keeper)
}

/** @throws TypeError when this response cannot be held. */
function holderOf(res: GuardResponse): Holder {
  const stream = http2StreamOf(res)
  if (stream !== undefined) return heldStreamOf(stream)
  const socket = socketOf(res)
  return socket === undefined ? heldResponseOf(res) : connectionOf(socket)
}

/** Why a response cannot be held; `undefined` where it can. */
export function whyNotHeld(res: GuardResponse): string | undefined {
  const stream = http2StreamOf(res)
  if (stream !== undefined) {
    return canHoldStream(stream) ? undefined : 'this version of Node keeps the streams of HTTP/2 out of reach'
  }
  if (socketOf(res) !== undefined || canHoldCalls(res)) return undefined
  return 'the response has no connection, and it is not an `http.ServerResponse` either'
}

/** Calls back when a response is over, however it ends; maybe more than once. */
export function whenOver(res: GuardResponse, end: () => void): void {
  const socket = socketOf(res)
  if (http2StreamOf(res) !== undefined || (socket !== undefined && res.socket)) {
    res.on('close', end)
    return
  }
  if (socket === undefined) {
    // Adapters need not say more than that a response is finished, and say it in the midst of its end.
    const later = (): void => process.nextTick(end)
    res.on('close', later)
    res.on('finish', later)
    return
  }
  // To a response that waits behind others on its connection, Node says nothing when the connection closes.
  const connection = connectionOf(socket)
  const once = (): void => {
    connection.forget(once)
    end()
  }
  connection.whenClosed(once)
  res.on('close', once)
}

/**
 * Whether a response that is over and was not held was handed to the network to its end. Node says `writableFinished` of a
 * response whose connection was cut, too.
 */
export function wholeAnswerLeft(res: GuardResponse): boolean {
  const stream = http2StreamOf(res)
  if (stream !== undefined) return res.writableFinished && stream.rstCode === 0
  const socket = socketOf(res)
  return socket === undefined ? res.writableEnded : res.writableFinished && !socket.destroyed
}
