import { ServerResponse, type OutgoingHttpHeaders } from 'node:http'
import { Writable } from 'node:stream'
import type { GuardResponse } from '../handler.ts'
import { connectionOf, isInformational, type Connection, type Gated } from './connection.ts'

export interface GateKeeper {
  /**
   * Called before bytes of the response leave, with the status that its head has, once that is known. What it returns is
   * waited for.
   */
  before(status: number | undefined): void | Promise<void>
  /** Writes the answer that is sent when `before` has thrown or rejected ahead of the first byte. */
  refuse(res: ServerResponse): void
}

/**
 * Holds a response back until its keepers have agreed, so that no byte leaves before what it must wait for has happened.
 *
 * The bytes are held on the connection, behind everything that makes them. To handlers and other middleware a held response
 * is one that is sent: its head is fixed, what throws then throws, and the methods, events and callbacks are those of Node.
 * While the keepers agree at once nothing is held.
 *
 * When a keeper refuses ahead of the first byte, its own answer leaves in place of all that was held, on a head as it was
 * when the gate was made, and the connection closes; further behind the connection is cut. To its handler either is a caller
 * that has gone away.
 */
export class Gate implements Gated {
  readonly res: GuardResponse
  refusalSent: boolean | undefined
  readonly #connection: Connection
  readonly #keepers: GateKeeper[]
  readonly #headersBefore: OutgoingHttpHeaders
  #status: number | undefined
  #begun = false
  #expectsErrors = false

  /** @throws TypeError when nothing can be held on the connection of this response. */
  constructor(res: GuardResponse, keeper: GateKeeper) {
    this.res = res
    this.#keepers = [keeper]
    this.#headersBefore = res.getHeaders()
    this.#connection = connectionOf(res)
    this.#connection.add(this)
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
    return this.refusalSent === undefined && this.res.writableFinished && !this.#connection.destroyed
  }

  /** One more has to agree to every part. */
  add(keeper: GateKeeper): void {
    this.#keepers.push(keeper)
  }

  /** The response is over. */
  close(): void {
    this.#connection.remove(this)
  }

  ask(first: unknown): Promise<void> | undefined {
    const informational = this.#status === undefined && isInformational(first)
    if (!informational) this.#status ??= statusIn(first) ?? this.res.statusCode
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

  refuse(): Uint8Array | undefined {
    if (this.#begun) return undefined
    const refusal = new ServerResponse(this.res.req)
    try {
      refusal.shouldKeepAlive = false
      for (const [name, value] of Object.entries(this.#headersBefore)) {
        if (value !== undefined) refusal.setHeader(name, value)
      }
      const bytes = bytesOf(refusal, () => this.#keepers[0]?.refuse(refusal))
      this.res.statusCode = refusal.statusCode
      return bytes
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

/**
 * Calls back once when a response is over, however it ends. To one that waited behind others on its connection, Node says
 * nothing when the connection closes.
 */
export function whenOver(res: GuardResponse, end: () => void): void {
  const { socket } = res
  if (socket !== null) {
    res.once('close', end)
    return
  }
  const connection = connectionOf(res)
  const once = (): void => {
    if (connection.forget(once)) end()
  }
  connection.whenClosed(once)
  res.once('close', once)
}

/**
 * Whether a response that is over was handed to the network to its end. Node says `writableFinished` of a response whose
 * connection was cut, too.
 */
export function wholeAnswerLeft(res: GuardResponse): boolean {
  const { stream } = res as { stream?: { readonly rstCode?: number } }
  if (stream !== undefined) return res.writableFinished && stream.rstCode === 0
  return res.writableFinished && !res.req.socket.destroyed
}

/** The status in a head that Node has rendered. */
function statusIn(first: unknown): number | undefined {
  return typeof first === 'string' && first.startsWith('HTTP/1.1 ') ? Number(first.slice(9, 12)) : undefined
}

/** What a response would send. */
function bytesOf(res: ServerResponse, write: () => void): Uint8Array | undefined {
  const chunks: Buffer[] = []
  const capture = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  // Of a socket a response needs what every Writable has.
  res.assignSocket(capture as unknown as Parameters<ServerResponse['assignSocket']>[0])
  write()
  return res.writableEnded ? Buffer.concat(chunks) : undefined
}
