import { ServerResponse, type IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { UnavailableError } from '../../errors.ts'
import type { GuardResponse } from '../handler.ts'

/** The gate of one response. */
export interface Gated {
  readonly res: GuardResponse
  /** Whether the refusal was passed to the network; `undefined` if there is none. */
  refusalSent: boolean | undefined
  /** Whether the head was passed to the network. */
  headSent: boolean
  /** The status of the head that Node has rendered; `undefined` until there is one. */
  readonly status: number | undefined
  /**
   * Asks whether bytes may be sent: at once if the result is `undefined`, otherwise when the promise resolves. The status is that
   * of the head with which the bytes begin, if they begin with a head.
   */
  ask(status: number | undefined): Promise<void> | undefined
  /**
   * The refusal that replaces the response of the handler; `undefined` if none is possible.
   *
   * @param chunked whether a body without a length is chunked, because nothing else marks its end
   */
  refuse(chunked: boolean): Refusal | undefined
  /** Called when the response is over, possibly more than once. */
  over(): void
}

/** Holds the bytes of a response until its gate lets them pass. */
export interface Holder {
  add(gate: Gated): void
  remove(gate: Gated): void
  /**
   * Whether the response of the handler was passed on completely; called when the response is over.
   *
   * @param headSent whether its head was passed on
   */
  wholeAnswerLeft(res: GuardResponse, headSent: boolean): boolean
}

/** How long a complete response may take to be sent after its connection or stream was destroyed, in milliseconds. */
export const LINGER = 30_000

/** The error that a handler gets for bytes that were dropped. */
export function notSent(): UnavailableError {
  return new UnavailableError('the response was not sent')
}

/** Whether a response with this status precedes another one. */
export function isInformational(status: number | undefined): boolean {
  return status !== undefined && status >= 100 && status < 200
}

/** Whether nothing follows the head of this response: that of a HEAD, and a 304. Node knows this only with HTTP/1. */
export function endsWithHead(res: GuardResponse): boolean {
  // oxlint-disable-next-line no-underscore-dangle -- Node offers no other name
  return (res as GuardResponse & { readonly _hasBody?: boolean })._hasBody === false
}

/** The request of a response. A bare response needs only the method. */
export function requestOf(res: GuardResponse): IncomingMessage {
  return res.req ?? ({ method: 'GET' } as IncomingMessage)
}

/** A response that is rendered in memory, and is sent in place of one that must not be sent. */
export class Refusal extends ServerResponse {
  readonly #chunks: Buffer[]

  /** @param of the response that must not be sent; that of an adapter may have no request */
  constructor(of: GuardResponse, chunked: boolean) {
    super(requestOf(of))
    const chunks: Buffer[] = []
    const capture = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk)
        done()
      },
    })
    this.#chunks = chunks
    this.shouldKeepAlive = false
    if (!chunked) this.useChunkedEncodingByDefault = false
    // A response needs only those parts of a socket that every Writable has.
    this.assignSocket(capture as unknown as Parameters<ServerResponse['assignSocket']>[0])
  }

  /** The head and the body as HTTP/1.1. */
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get body(): Buffer {
    const { bytes } = this
    return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
  }
}
