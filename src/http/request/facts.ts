import { parsePeer, type ClientAddress, type ClientAddressReader } from '../../match/client-address.ts'
import { parseIp } from '../../match/ip.ts'
import { parseOrigin } from '../../match/origin.ts'
import type { SignedMessage } from '../../signature/verify.ts'
import { checkClientAddress } from './address-warnings.ts'
import { BodyReader, QueryReader, type ParameterPlace, type ParameterReading } from './parameters.ts'
import type { GuardRequest } from '../handler.ts'
import { HeaderLines } from './header-lines.ts'
import { readMethod } from './method-override.ts'

export type { ClientAddressReader }

/** Node drops header lines beyond `maxHeadersCount` of the server without a word; this many when it is not set. */
const MAX_HEADER_LINES = 1000

// A registered symbol: the bytes that one build has kept, the guard of the other must find.
const rawBodies: unique symbol = Symbol.for('portcullis.rawBody')

/** Keeps the bytes of a body as they were received, for the digest. Called by `bodyParsers` before parsing. */
export function keepRawBody(req: GuardRequest, bytes: Uint8Array): void {
  ;(req as { [rawBodies]?: Uint8Array })[rawBodies] = bytes
}

/**
 * The plain data that guards judge by, read from the request once and only when asked for.
 * The only place that reads a request.
 */
export class RequestFacts {
  readonly #req: GuardRequest
  // Express gives each request a shape of its own, so that each look at one costs a search.
  #knownHeaders: GuardRequest['headers'] | undefined
  #knownRawHeaders: readonly string[] | undefined
  #knownSocket: GuardRequest['socket'] | undefined
  #knownTarget: string | undefined
  #addressReader: ClientAddressReader | 'none yet' | undefined = 'none yet'
  #address: ClientAddress | undefined
  #message: SignedMessage | undefined
  /** What handlers saw as the method when the message was read: middleware between two guards may change it. */
  #messageMethod = ''
  #lines: HeaderLines | undefined
  #queryReader: QueryReader | undefined
  #bodyReader: BodyReader | undefined
  /** The method when the request was first looked at. */
  readonly #firstMethod: string

  constructor(req: GuardRequest) {
    this.#req = req
    this.#firstMethod = req.method ?? ''
  }

  get #headers(): GuardRequest['headers'] {
    return (this.#knownHeaders ??= this.#req.headers)
  }

  get #rawHeaders(): readonly string[] {
    return (this.#knownRawHeaders ??= this.#req.rawHeaders)
  }

  get #socket(): GuardRequest['socket'] {
    return (this.#knownSocket ??= this.#req.socket)
  }

  /** One of the headers that Node joins with a comma when they are repeated. */
  #header(name: string): string | undefined {
    const value = this.#headers[name]
    return typeof value === 'string' ? value : value?.join(', ')
  }

  /** Not kept: other middleware may have changed it between two guards. */
  get method(): string {
    return this.#req.method ?? ''
  }

  /** The request target as received, before any router took its part off. */
  get target(): string {
    return (this.#knownTarget ??= this.#req.originalUrl ?? this.#req.url ?? '')
  }

  get headersComplete(): boolean {
    const { server } = this.#socket as { server?: { maxHeadersCount?: unknown } }
    const set = server?.maxHeadersCount
    const most = typeof set === 'number' ? set : MAX_HEADER_LINES
    return most <= 0 || this.#rawHeaders.length < 2 * most
  }

  get origin(): string | undefined {
    return this.#header('origin')
  }

  get xOrigin(): string | undefined {
    return this.#header('x-origin')
  }

  /** Whether a proxy says that it has passed the request on. Says nothing of who it was. */
  get proxied(): boolean {
    for (const name in this.#headers) {
      if (name === 'forwarded' || name === 'via' || name.startsWith('x-forwarded-')) return true
    }
    return false
  }

  get fetchSite(): string | undefined {
    return this.#header('sec-fetch-site')
  }

  get fetchMode(): string | undefined {
    return this.#header('sec-fetch-mode')
  }

  get requestedHeaders(): string | undefined {
    return this.#header('access-control-request-headers')
  }

  /** Fetch: OPTIONS with `Origin` and `Access-Control-Request-Method`. Any other OPTIONS is a request like others. */
  get preflight(): boolean {
    return (
      this.method === 'OPTIONS' &&
      this.origin !== undefined &&
      this.#headers['access-control-request-method'] !== undefined
    )
  }

  get ownOrigin(): string | undefined {
    const host = this.#authority()
    return host === undefined ? undefined : parseOrigin(`${this.#scheme()}://${host}`)
  }

  /**
   * A header of Fetch Metadata, which page script cannot write and a browser does not leave out. `Sec-Fetch-Mode: cors`
   * alone is none: the `fetch` of Node sends it and nothing else.
   */
  get fetchMetadata(): string | undefined {
    const headers = this.#headers
    for (const name in headers) {
      if (!name.startsWith('sec-fetch-')) continue
      if (name !== 'sec-fetch-mode' || headers[name] !== 'cors') return name
    }
    return undefined
  }

  get browserEvidence(): string | undefined {
    if (this.preflight) return 'preflight'
    return this.origin === undefined ? this.fetchMetadata : 'origin'
  }

  /** Who calls: by the given reader of proxy headers, or by Express's `req.ip`, or by the socket. */
  address(reader: ClientAddressReader | undefined): ClientAddress | undefined {
    if (this.#addressReader !== reader) {
      this.#address = this.#readAddress(reader)
      this.#addressReader = reader
    }
    return this.#address
  }

  #readAddress(reader: ClientAddressReader | undefined): ClientAddress | undefined {
    // The line of the nearest proxy comes last, so that it is the first to be dropped: what is left, the caller wrote.
    const lines = reader !== undefined && this.headersComplete ? this.lines(reader.header) : []
    const client = reader === undefined ? this.#expressAddress() : reader.read(this.#peer, lines)
    if (client !== undefined) checkClientAddress(this.#req, this.#headers, client, reader, lines)
    return client
  }

  #expressAddress(): ClientAddress | undefined {
    const peer = this.#peer
    const express = 'ip' in this.#req
    const text = express ? this.#req.ip : peer
    if (text === undefined || (express && !this.headersComplete)) return undefined
    const address = text === peer ? parsePeer(text) : parseIp(text)
    return address && { address, source: express ? 'req.ip' : 'socket', hops: 0 }
  }

  get #peer(): string | undefined {
    return this.#socket.remoteAddress
  }

  /** Every line of a header, in order. `req.headers` would drop or join them. */
  lines(name: string): readonly string[] {
    this.#lines ??= new HeaderLines(this.#rawHeaders)
    return this.#lines.of(name)
  }

  /** The request as its signature sees it. */
  get message(): SignedMessage {
    const { method } = this
    if (this.#message === undefined || this.#messageMethod !== method) {
      this.#message = this.#readMessage()
      this.#messageMethod = method
    }
    return this.#message
  }

  #readMessage(): SignedMessage {
    const { method, override } = readMethod(this.#req, this.#firstMethod)
    return {
      method,
      methodOverride: override,
      authority: this.#authority(),
      target: this.target,
      scheme: this.#scheme(),
      header: (name) => this.lines(name),
      body: this.#body(),
    }
  }

  /** What stands in a place: from what was received, not from what parsers made of it. */
  parameter(place: ParameterPlace): ParameterReading {
    if ('query' in place) {
      this.#queryReader ??= new QueryReader(this.target)
      return this.#queryReader.read(place.query)
    }
    const body = this.#body()
    const contentType = this.#header('content-type')
    if (this.#bodyReader?.isOf(body, contentType) !== true)
      this.#bodyReader = new BodyReader(body, contentType)
    return this.#bodyReader.read(place.body.split('.'))
  }

  #body(): SignedMessage['body'] {
    const { 'transfer-encoding': coding, 'content-length': length } = this.#headers
    // Node takes a request with any other transfer coding for one without content, whatever its sender meant.
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') return { kind: 'unavailable' }
    const bytes = (this.#req as { [rawBodies]?: Uint8Array })[rawBodies]
    if (bytes !== undefined) return { kind: 'bytes', bytes }
    const expected = coding !== undefined || (length !== undefined && Number(length) !== 0)
    return expected ? { kind: 'unavailable' } : { kind: 'none' }
  }

  #authority(): string | undefined {
    const hosts = this.lines('host')
    return hosts.length === 1 ? hosts[0] : undefined
  }

  #scheme(): 'http' | 'https' {
    const { protocol } = this.#req
    return (protocol ?? ('encrypted' in this.#socket ? 'https' : 'http')) === 'https' ? 'https' : 'http'
  }
}
