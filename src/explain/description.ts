import type { IncomingHttpHeaders } from 'node:http'
import type { GuardRequest } from '../http/handler.ts'
import { keepRawBody } from '../http/request/content.ts'
import type { Jurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { AppKey } from '../signature/keys.ts'

/** A made-up request. What is left out was not sent. */
export interface RequestDescription {
  /** Default `GET`. */
  readonly method?: string | undefined
  /** The absolute URL that is called. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array | undefined
  /** The client address. */
  readonly address?: string | undefined
  /** What the `returnUrl` option would find. Left out, `returnUrlGuard` is not asked. */
  readonly returnUrl?: unknown
  /** The options of `returnUrlGuard` with these names. */
  readonly relativeTo?: string | undefined
  readonly reserved?: readonly string[] | undefined
  /** What the `country` option would find. */
  readonly country?: unknown
  /** The location of the instance. Left out, `regionPin` is not asked. */
  readonly here?: string | undefined
  readonly jurisdictions?: Jurisdictions | undefined
  /** The keys of the app, for its signatures. Default: no keys. */
  readonly keys?: readonly AppKey[] | undefined
  /** When the request is judged, in milliseconds since the epoch. Default now. */
  readonly now?: number | undefined
}

/** The part of a request that facts are read from. */
export function requestLike({
  method = 'GET',
  url,
  headers = {},
  body,
  address,
}: RequestDescription): GuardRequest {
  const { protocol, host, pathname, search } = new URL(url)
  const lines = Object.assign(Object.create(null), { host }) as IncomingHttpHeaders
  for (const [name, value] of Object.entries(headers)) lines[name.toLowerCase()] = value
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (bytes !== undefined) lines['content-length'] ??= String(bytes.length)
  const request = {
    method,
    url: pathname + search,
    originalUrl: pathname + search,
    protocol: protocol.slice(0, -1),
    ip: address,
    headers: lines,
    rawHeaders: Object.entries(lines).flatMap(([name, value]) => [name, String(value)]),
    socket: {},
  } as unknown as GuardRequest
  if (bytes !== undefined) keepRawBody(request, bytes)
  return request
}
