import { ServerResponse, type IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { UnavailableError } from '../../errors.ts'
import type { GuardResponse } from '../handler.ts'

/** What stands in front of one response. */
export interface Gated {
  readonly res: GuardResponse
  /** Whether the answer in place of the handler's was handed to the network; `undefined` where there is none. */
  refusalSent: boolean | undefined
  /** Asks whether bytes may leave. The status is that of the head that they begin with; `undefined` where they do not. */
  ask(status: number | undefined): Promise<void> | undefined
  /**
   * The answer in place of the handler's; `undefined` where there can be none. A body without a length is chunked where its
   * end is not told otherwise.
   */
  refuse(chunked: boolean): Refusal | undefined
  /** The response is over. This may be said more than once. */
  over(): void
}

/** Where the bytes of a response are held until its gate lets them pass. */
export interface Holder {
  add(gate: Gated): void
  remove(gate: Gated): void
  /** Whether the answer of the handler was handed on to its end; asked when the response is over. */
  wholeAnswerLeft(res: GuardResponse): boolean
}

/** How long a complete answer may take to leave after somebody has destroyed what it leaves by, in milliseconds. */
export const LINGER = 30_000

/** What a handler is told of bytes that were dropped. */
export function notSent(): UnavailableError {
  return new UnavailableError('the response was not sent')
}

/** Whether a response with this status goes ahead of another one. */
export function isInformational(status: number | undefined): boolean {
  return status !== undefined && status >= 100 && status < 200
}

/** What a response answers: of it a bare response needs the method. */
export function requestOf(res: GuardResponse): IncomingMessage {
  return res.req ?? ({ method: 'GET' } as IncomingMessage)
}

/** An answer that is rendered and sent to nobody: it leaves in place of one that must not. */
export class Refusal extends ServerResponse {
  readonly #chunks: Buffer[]

  /** @param of The response that must not leave. An adapter need not say what it answers. */
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
    // Of a socket a response needs what every Writable has.
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
