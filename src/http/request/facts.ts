import type { OriginFacts } from '../../guards/domain-protect.ts'
import type { ClientAddress } from '../../match/client-address.ts'
import { parseOrigin } from '../../match/origin.ts'
import type { Content } from '../../signature/digest.ts'
import type { SignedMessage } from '../../signature/verify.ts'
import type { GuardRequest } from '../handler.ts'
import { checkUsualAddress } from './address-warnings.ts'
import type { Place, PlaceReader } from './authority.ts'
import type { AddressFacts, ClientAddressReader } from './client-address.ts'
import { contentOf, framesContent, streamedContent } from './content.ts'
import { HeaderLines, UNREADABLE } from './headers.ts'
import { readMethod, type ReceivedMethod } from './method-override.ts'
import {
  BodyReader,
  isOfQuery,
  QueryReader,
  type ParameterPlace,
  type ParameterReading,
} from './parameters.ts'

import { lookForAddress, usualAddress } from './usual-address.ts'

export type { ClientAddressReader }

/**
 * The plain data by which guards judge a request. To judge another kind of request (a Fetch `Request`, a frame of a protocol),
 * implement this interface; no guard changes.
 */
export interface RequestFacts extends OriginFacts {
  /** The request target as received, before any router removed a part of it. */
  readonly target: string
  /** The origin that the `Referer` header names; `undefined` if it names none. */
  readonly refererOrigin: string | undefined
  /** The `Access-Control-Request-Headers` header as received. */
  readonly requestedHeaders: string | undefined
  /** What shows that a browser sent the request; `undefined` if nothing does. */
  readonly browserEvidence: string | undefined
  /** The client address, found by the given reader or, without one, by {@link usualAddress}. */
  address(reader: ClientAddressReader | undefined): ClientAddress | undefined
  /**
   * The request in the form that signatures cover. The result of `placeOf` replaces its `Host`.
   *
   * @param streamed whether unread content is digested as it arrives. Default false
   */
  message(placeOf?: PlaceReader, streamed?: boolean): SignedMessage
  /** The origin of this server as the request addressed it. The result of `placeOf` replaces its `Host`. */
  ownOriginBy(placeOf?: PlaceReader): string | undefined
  /** Reads a place in the query or the body: from the received bytes, not from the results of parsers. */
  parameter(place: ParameterPlace): ParameterReading
}

/**
 * The facts of a request of `node:http` or `node:http2`, or of a framework on top of them. Each fact is read once, on first use:
 * Express gives each request its own hidden class, so each property access costs a search. Facts that other middleware may change
 * are read again after `lookAgain`.
 */
export class NodeFacts implements RequestFacts, AddressFacts {
  readonly #req: GuardRequest
  #knownLines: HeaderLines | undefined
  #knownSocket: GuardRequest['socket'] | undefined
  #knownTarget: string | undefined
  #addressReader: ClientAddressReader | 'none yet' | undefined = 'none yet'
  #address: ClientAddress | undefined
  #addressFailure: { readonly error: unknown } | undefined
  #queryReader: QueryReader | undefined
  #bodyReader: BodyReader | undefined
  /** The method when the request was first seen. */
  readonly #firstMethod: string
  #knownHttp2: boolean | undefined
  #knownMethod: string | undefined
  #knownReceived: ReceivedMethod | undefined
  #knownContent: Content | undefined
  #knownScheme: 'http' | 'https' | undefined

  constructor(req: GuardRequest) {
    this.#req = req
    this.#firstMethod = this.#knownMethod = req.method ?? ''
  }

  /** Forgets the facts that other middleware may have changed. They are read again on next use. */
  lookAgain(): void {
    this.#knownMethod = undefined
    this.#knownReceived = undefined
    this.#knownContent = undefined
    this.#knownScheme = undefined
  }

  get #lines(): HeaderLines {
    return (this.#knownLines ??= new HeaderLines(this.#req, this.#socket))
  }

  get #received(): ReceivedMethod {
    return (this.#knownReceived ??= readMethod(this.#req, this.method, this.#firstMethod))
  }

  get #content(): Content {
    return (this.#knownContent ??= contentOf(this.#req, this.#lines, this.#isHttp2))
  }

  get #socket(): GuardRequest['socket'] {
    return (this.#knownSocket ??= this.#req.socket)
  }

  get method(): string {
    return (this.#knownMethod ??= this.#req.method ?? '')
  }

  get receivedMethod(): string {
    return this.#received.method
  }

  get target(): string {
    return (this.#knownTarget ??= this.#req.originalUrl ?? this.#req.url ?? '')
  }

  get headersComplete(): boolean {
    return this.#lines.complete
  }

  get origin(): string | undefined {
    return this.#lines.one('origin')
  }

  get xOrigin(): string | undefined {
    return this.#lines.one('x-origin')
  }

  get proxied(): boolean {
    const lines = this.#lines
    return (
      lines.one('forwarded') !== undefined ||
      lines.one('via') !== undefined ||
      lines.findByPrefix('x-forwarded-') !== undefined
    )
  }

  get fetchSite(): string | undefined {
    return this.#lines.one('sec-fetch-site')
  }

  get fetchMode(): string | undefined {
    return this.#lines.one('sec-fetch-mode')
  }

  get refererOrigin(): string | undefined {
    const referer = this.#lines.one('referer')
    return referer !== undefined && URL.canParse(referer) ? parseOrigin(new URL(referer).origin) : undefined
  }

  get requestedHeaders(): string | undefined {
    const lines = this.#lines.all('access-control-request-headers')
    return lines.length === 0 ? undefined : lines.join(', ')
  }

  /** Fetch: OPTIONS with `Origin` and `Access-Control-Request-Method`. Any other OPTIONS is an ordinary request. */
  get preflight(): boolean {
    return (
      this.method === 'OPTIONS' &&
      this.origin !== undefined &&
      this.#lines.one('access-control-request-method') !== undefined
    )
  }

  get ownOrigin(): string | undefined {
    return this.ownOriginBy()
  }

  ownOriginBy(placeOf?: PlaceReader): string | undefined {
    const { authority, scheme } = this.#place(placeOf)
    return authority === undefined ? undefined : parseOrigin(`${scheme}://${authority}`)
  }

  get fetchMetadata(): string | undefined {
    return this.#lines.findByPrefix('sec-fetch-', showsBrowser)
  }

  get browserEvidence(): string | undefined {
    if (this.preflight) return 'preflight'
    return this.origin === undefined ? this.fetchMetadata : 'origin'
  }

  address(reader: ClientAddressReader | undefined): ClientAddress | undefined {
    if (this.#addressReader !== reader) {
      this.#addressReader = reader
      this.#address = undefined
      this.#addressFailure = undefined
      try {
        this.#address = this.#readAddress(reader)
      } catch (error) {
        // A function of the application that fails is called once, and its error applies to all guards.
        this.#addressFailure = { error }
      }
    }
    if (this.#addressFailure !== undefined) throw this.#addressFailure.error
    return this.#address
  }

  #readAddress(reader: ClientAddressReader | undefined): ClientAddress | undefined {
    if (reader !== undefined) return reader.find(this.#req, this)
    const look = lookForAddress(this.#req)
    const client = usualAddress(this.#req, this, look)
    if (client !== undefined) checkUsualAddress(this.#req, look, client, this.#lines)
    return client
  }

  get peer(): string | undefined {
    return this.#socket?.remoteAddress
  }

  lines(name: string): readonly string[] {
    return this.#lines.all(name)
  }

  /** Whether there may be content, even of zero bytes. */
  get mayHaveContent(): boolean {
    return this.#isHttp2 || framesContent(this.#lines)
  }

  message(placeOf?: PlaceReader, streamed = false): SignedMessage {
    const { authority, authorityProblem, scheme, prefix } = this.#place(placeOf)
    const lines = this.#lines
    const { method, override } = this.#received
    return {
      method,
      methodOverride: override,
      authority,
      authorityProblem,
      // A target that is not a path has no place for a prefix, and is refused.
      target: prefix !== undefined && this.target.startsWith('/') ? prefix + this.target : this.target,
      scheme,
      header: (name) => lines.all(name),
      body: streamed ? streamedContent(this.#req, this.#content) : this.#content,
    }
  }

  parameter(place: ParameterPlace): ParameterReading {
    if (isOfQuery(place)) {
      this.#queryReader ??= new QueryReader(this.target)
      return this.#queryReader.read(place.query)
    }
    const body = this.#content
    // If none was sent, other middleware may have set the type, to choose a parser.
    const contentType = this.#lines.one('content-type') ?? this.#req.headers['content-type']
    if (this.#bodyReader?.isOf(body, contentType) !== true)
      this.#bodyReader = new BodyReader(body, contentType)
    return this.#bodyReader.read(place.body.split('.'))
  }

  get #isHttp2(): boolean {
    return (this.#knownHttp2 ??= this.#req.httpVersionMajor === 2)
  }

  /** The place that the caller addressed: as received, or as the option says. */
  #place(placeOf: PlaceReader | undefined): Place & { readonly scheme: 'http' | 'https' } {
    const authority = this.#authority()
    const scheme = this.#scheme()
    // Two `Host` lines, or none, are refused even if an option replaces them.
    if (placeOf === undefined || authority === undefined) return { authority, scheme }
    const place = placeOf(authority, this.#req)
    return place.scheme === undefined ? { ...place, scheme } : (place as Place & { scheme: 'http' | 'https' })
  }

  /** RFC 9113 8.3.1: `:authority` replaces `Host`, and must not differ from it. */
  #authority(): string | undefined {
    const host = this.#lines.one('host')
    if (host === UNREADABLE) return undefined
    if (!this.#isHttp2) return host
    const authority = this.#lines.one(':authority')
    if (authority === undefined || authority === UNREADABLE) return authority === undefined ? host : undefined
    return host === undefined || host.toLowerCase() === authority.toLowerCase() ? authority : undefined
  }

  #scheme(): 'http' | 'https' {
    return (this.#knownScheme ??= this.#readScheme())
  }

  #readScheme(): 'http' | 'https' {
    const { protocol } = this.#req
    if (protocol !== undefined) return protocol === 'https' ? 'https' : 'http'
    return (this.#socket as { encrypted?: unknown }).encrypted === true ? 'https' : 'http'
  }
}

/**
 * Whether this header of Fetch Metadata indicates a browser: scripts in pages cannot write it, and a browser always sends it.
 * `Sec-Fetch-Mode: cors` does not count, because `fetch` of Node sends it too.
 */
function showsBrowser(name: string, value: string): boolean {
  return !(name === 'sec-fetch-mode' && value === 'cors')
}
