import type { ClientAddress } from '../match/client-address.ts'
import { parseIp } from '../match/ip.ts'
import { parseOrigin } from '../match/origin.ts'
import type { SignedMessage } from '../signature/verify.ts'
import type { GuardRequest } from './request.ts'

/** Node drops header lines beyond its limit without a word: 1000 lines are kept (2000 raw entries). */
const MAX_RAW_HEADERS = 2000

// A registered symbol: the bytes that one build has kept, the guard of the other must find.
const rawBodies: unique symbol = Symbol.for('portcullis.rawBody')

/** How to find the client behind trusted proxies. */
export interface ClientAddressReader {
  /** The one header that the proxies write, in lower case. */
  readonly header: string
  read(peer: string | undefined, headerLines: readonly string[]): ClientAddress | undefined
}

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
  #addressReader: ClientAddressReader | 'none yet' | undefined = 'none yet'
  #address: ClientAddress | undefined
  #message: SignedMessage | undefined

  constructor(req: GuardRequest) {
    this.#req = req
  }

  /** One of the headers that Node joins with a comma when they are repeated. */
  #header(name: string): string | undefined {
    const value = this.#req.headers[name]
    return typeof value === 'string' ? value : value?.join(', ')
  }

  get method(): string {
    return this.#req.method ?? ''
  }

  /** The request target as received, before any router took its part off. */
  get target(): string {
    return this.#req.originalUrl ?? this.#req.url ?? ''
  }

  get headersComplete(): boolean {
    return this.#req.rawHeaders.length < MAX_RAW_HEADERS
  }

  get origin(): string | undefined {
    return this.#header('origin')
  }

  get xOrigin(): string | undefined {
    return this.#header('x-origin')
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
      this.#req.method === 'OPTIONS' &&
      this.origin !== undefined &&
      this.#req.headers['access-control-request-method'] !== undefined
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
    const { headers } = this.#req
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
    const peer = this.#req.socket.remoteAddress
    if (reader !== undefined) return reader.read(peer, this.lines(reader.header))
    const text = 'ip' in this.#req ? this.#req.ip : peer
    const address = text === undefined ? undefined : parseIp(text)
    return address && { address, source: 'ip' in this.#req ? 'req.ip' : 'socket', hops: 0 }
  }

  /** Every line of a header, in order. `req.headers` would drop or join them. */
  lines(name: string): string[] {
    const { rawHeaders } = this.#req
    const lines: string[] = []
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const candidate = rawHeaders[index] as string
      if (candidate.length === name.length && candidate.toLowerCase() === name)
        lines.push(rawHeaders[index + 1] as string)
    }
    return lines
  }

  /** The request as its signature sees it. */
  get message(): SignedMessage {
    this.#message ??= {
      method: this.method,
      authority: this.#authority(),
      target: this.#req.originalUrl ?? this.#req.url ?? '',
      scheme: this.#scheme(),
      header: (name) => this.lines(name),
      body: this.#body(),
    }
    return this.#message
  }

  #body(): SignedMessage['body'] {
    const bytes = (this.#req as { [rawBodies]?: Uint8Array })[rawBodies]
    if (bytes !== undefined) return { kind: 'bytes', bytes }
    const length = this.#req.headers['content-length']
    const expected =
      this.#req.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0)
    return expected ? { kind: 'unavailable' } : { kind: 'none' }
  }

  #authority(): string | undefined {
    const hosts = this.lines('host')
    return hosts.length === 1 ? hosts[0] : undefined
  }

  #scheme(): 'http' | 'https' {
    const { protocol, socket } = this.#req
    return (protocol ?? ('encrypted' in socket ? 'https' : 'http')) === 'https' ? 'https' : 'http'
  }
}
