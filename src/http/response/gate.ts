import type { OutgoingHttpHeaders } from 'node:http'
import type { GuardResponse } from '../handler.ts'
import { Delivery } from './delivery.ts'
import { headersOf } from './partial-response.ts'
import { isInformational, Refusal, type Gated, type Holder } from './holder.ts'

export interface GateKeeper {
  /**
   * Called before bytes of the response are sent, with the status of its head once that is known. A returned promise is awaited.
   */
  before(status: number | undefined): void | Promise<void>
  /** Writes the response that is sent if `before` throws or rejects before the first byte. */
  refuse(res: GuardResponse): void
  /** Called when the response is over, even if Node does not emit `close`. It may be called more than once. */
  over?(): void
}

/**
 * Holds a response back until its keepers have agreed: no byte is sent before the work that it must wait for is done.
 *
 * The bytes are held after everything that produces them: on the connection, or with HTTP/2 on the stream. If an adapter has no
 * connection, its calls are held instead. To handlers and other middleware a held response looks like one that is sent: its head
 * is fixed, calls that are then illegal throw, and the methods, events and callbacks are those of Node. While the keepers agree
 * at once, nothing is held.
 *
 * If a keeper refuses before the first byte, its own response is sent in place of the held one, with the headers that were set
 * when the gate was created, and the connection closes (with HTTP/2 the stream). If a keeper refuses later, the connection is
 * cut. To the handler, both look like a caller that has disconnected.
 */
export class Gate implements Gated {
  readonly res: GuardResponse
  refusalSent: boolean | undefined
  headSent = false
  readonly #holder: Holder
  readonly #keepers: GateKeeper[]
  readonly #headersBefore: OutgoingHttpHeaders
  #status: number | undefined
  #begun = false
  #expectsErrors = false

  /** @throws TypeError if this response cannot be held */
  constructor(res: GuardResponse, keeper: GateKeeper, delivery: Delivery) {
    this.res = res
    this.#keepers = [keeper]
    this.#headersBefore = headersOf(res)
    this.#holder = delivery.holder
    this.#holder.add(this)
  }

  /** The status of the head that Node has rendered; `undefined` until there is one. */
  get status(): number | undefined {
    return this.#status
  }

  /** Whether bytes were sent, other than those of informational responses. */
  get begun(): boolean {
    return this.#begun
  }

  /** Whether the response of the handler was passed to the network completely; read when the response is over. */
  get wholeAnswerLeft(): boolean {
    return this.refusalSent === undefined && this.#holder.wholeAnswerLeft(this.res, this.headSent)
  }

  /** Adds a keeper, which must also agree to every part. */
  add(keeper: GateKeeper): void {
    this.#keepers.push(keeper)
  }

  /** Call this when the response is over. */
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
    // After an informational response there may still be another response.
    const begins = this.#begun || !informational
    if (asked !== undefined) {
      this.#expectErrors()
      return this.#all(asked, begins)
    }
    this.#begun = begins
    return undefined
  }

  /**
   * Node reports a write after the end as an error until the response is over, and the error ends the process if it has no
   * listener. Holding a response keeps it from being over, for longer than its handler may expect.
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
