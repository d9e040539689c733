import type { IncomingHttpHeaders } from 'node:http'
import type { RequestDescription } from '../http/described-request.ts'
import type { GuardRequest } from '../http/handler.ts'
import { keepRawBody } from '../http/request/content.ts'

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
  for (const [name, value] of Object.entries(headers)) lines[name.toLowerCase()] = withoutOuterSpace(value)
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

/** Trims a header value: spaces and tabs around it are not part of it (RFC 9110, section 5.5). */
function withoutOuterSpace(value: string): string {
  const isSpace = (index: number): boolean => value[index] === ' ' || value[index] === '\t'
  let [start, end] = [0, value.length]
  while (start < end && isSpace(start)) start += 1
  while (end > start && isSpace(end - 1)) end -= 1
  return value.slice(start, end)
}
