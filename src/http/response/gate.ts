import type { OutgoingHttpHeaders } from 'node:http'
import type { GuardResponse } from '../handler.ts'
import { Delivery } from './delivery.ts'
import { isInformational, Refusal, type Gated, type Holder } from './holder.ts'

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
  constructor(res: GuardResponse, keeper: GateKeeper, delivery: Delivery) {
    this.res = res
    this.#keepers = [keeper]
    this.#headersBefore = res.getHeaders()
    this.#holder = delivery.holder
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
    for (let index = 0; index < this.#keepers.length; index += 1) {
      const keeper = this.#keepers[index] as GateKeeper
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
  return new Gate(res, keeper, new Delivery(res))
}
