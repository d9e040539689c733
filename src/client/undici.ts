import { joinBytes, readBody } from './body.ts'
import { createCaller } from './caller.ts'
import { checkCallerOptions, type CallerOptions } from './options.ts'

/** The part of an undici request that is read or changed here. */
interface Outgoing {
  readonly origin?: string | URL | undefined
  readonly path: string
  readonly method: string
  readonly headers?: unknown
  readonly body?: unknown
  readonly query?: Readonly<Record<string, unknown>> | undefined
}

/** The part of a response handler that receives errors, in undici 7 and in earlier versions. */
interface Handler {
  onResponseError?(controller: null, error: unknown): void
  onError?(error: unknown): void
}

type Dispatch = (request: Outgoing, handler: Handler) => boolean

/** An interceptor for `compose` of an undici dispatcher. */
export type UndiciInterceptor = <Given extends (request: never, handler: never) => boolean>(
  dispatch: Given,
) => Given

/**
 * An undici interceptor that signs every request: `new Agent().compose(undiciSigner(options))`, as the `dispatcher` of
 * `request` and `stream`. An interceptor composed after it, such as `retry`, wraps it, so each attempt is signed again.
 *
 * - A body may be a string, bytes, a `Blob`, or a stream of bytes, which is read into memory. `FormData` is refused.
 * - `query` is written into the path. With a `Client` or `Pool`, the request must set its `origin`.
 * - Compose nothing after it that follows redirects, because the called server would then choose what is signed. For undici's
 *   `fetch`, use {@link signedFetch}.
 *
 * Throws a `ConfigError` for invalid options. A request that cannot be signed fails with a `TypeError`.
 */
export function undiciSigner(options: CallerOptions): UndiciInterceptor {
  checkCallerOptions('undiciSigner', options)
  const sign = createCaller(options)

  async function signed(request: Outgoing): Promise<Outgoing> {
    const { origin, method } = request
    if (origin === undefined) throw new TypeError('the request must name its `origin` to be signed')
    const headers = headersOf(request.headers)
    const path = pathOf(request)
    const body = await bodyOf(request.body, headers)
    const signedHeaders = await sign({ method, url: origin, target: path, headers, body })
    return { ...request, path, query: undefined, headers: signedHeaders, body: body ?? null }
  }

  const interceptor =
    (dispatch: Dispatch): Dispatch =>
    (request, handler) => {
      // An error of `dispatch` itself needs no handling here: the handler has already received it, or has caused it.
      signed(request).then(
        (outgoing) => dispatch(outgoing, handler),
        (error: unknown) => {
          if (handler.onResponseError === undefined) handler.onError?.(error)
          else handler.onResponseError(null, error)
        },
      )
      return true
    }
  return interceptor as unknown as UndiciInterceptor
}

function headersOf(given: unknown): Headers {
  const headers = new Headers()
  for (const [name, value] of pairsOf(given)) {
    if (value === undefined) continue
    // Like undici: several values are several lines, and null is an empty line.
    for (const line of Array.isArray(value) ? value : [value])
      headers.append(String(name), String(line ?? ''))
  }
  return headers
}

/** Accepts a record, pairs, or alternating names and values. */
function pairsOf(given: unknown): Iterable<readonly [unknown, unknown]> {
  if (typeof given !== 'object' || given === null) return []
  if (!Array.isArray(given)) {
    return Symbol.iterator in given ? (given as Iterable<[unknown, unknown]>) : Object.entries(given)
  }
  if (given.every(Array.isArray)) return given as [unknown, unknown][]
  return given.flatMap((name: unknown, at) =>
    at % 2 === 0 ? [[name, given[at + 1] as unknown] as const] : [],
  )
}

/** The path with its query, as undici would write it. */
function pathOf({ path, query }: Outgoing): string {
  if (query === undefined || query === null) return path
  if (/[?#]/.test(path)) throw new TypeError('the query must be in `path` or in `query`, not in both')
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as unknown[]) : [value]).map((one) => `${encode(name)}=${encode(one)}`),
  )
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

function encode(value: unknown): string {
  return /^(?:string|number|bigint|boolean)$/.test(typeof value) ? encodeURIComponent(String(value)) : ''
}

async function bodyOf(body: unknown, headers: Headers): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (typeof body !== 'object' || body === null || !(Symbol.asyncIterator in body))
    return readBody(body, headers)
  const chunks: Uint8Array[] = []
  for await (const chunk of body as AsyncIterable<unknown>) {
    if (typeof chunk === 'string') chunks.push(new TextEncoder().encode(chunk))
    else if (ArrayBuffer.isView(chunk)) {
      chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    } else throw new TypeError('a stream body must produce bytes or strings')
  }
  return joinBytes(chunks)
}
