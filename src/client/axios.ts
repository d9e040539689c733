import { readBody } from './body.ts'
import { createCaller } from './caller.ts'
import { checkCallerOptions, type CallerOptions } from './options.ts'

/** The part of an axios instance that this package uses. */
export interface AxiosLike {
  getUri(config?: never): string
  readonly interceptors: { readonly request: { use(...handlers: never[]): unknown } }
}

interface AxiosHeadersLike extends Iterable<[string, unknown]> {
  get(name: string): unknown
  set(name: string, value: string): unknown
  delete(name: string): unknown
  normalize(): unknown
}

type Transform = (this: unknown, data: unknown, headers: unknown) => unknown

interface AxiosConfig {
  readonly method?: string | undefined
  readonly headers: AxiosHeadersLike
  readonly data?: unknown
  readonly auth?: unknown
  readonly maxRedirects?: number | undefined
  readonly transformRequest?: Transform | readonly Transform[] | undefined
}

/**
 * Makes an axios instance sign every request, and returns the instance: `signedAxios(axios.create({ baseURL }), options)`.
 *
 * axios builds URL, parameters and data as usual, but before signing, so it sends exactly what was signed, with any of its
 * adapters. Call `signedAxios` before you add interceptors: those added later run before signing. Those added earlier run
 * after it, and must not change the request.
 *
 * - It follows no redirects, because a signature is valid for one URL only. `maxRedirects` must be 0 or left out.
 * - Streams and `FormData` are refused. So is `auth`, which axios would add after signing: set the header `authorization`
 *   instead.
 *
 * Throws a `ConfigError` for invalid options. A call rejects with a `TypeError` if it cannot sign the request.
 */
export function signedAxios<Axios extends AxiosLike>(axios: Axios, options: CallerOptions): Axios {
  checkCallerOptions('signedAxios', options)
  const sign = createCaller(options)

  const prepare = async (config: AxiosConfig): Promise<AxiosConfig> => {
    if (config.auth !== undefined && config.auth !== null) {
      throw new TypeError('`auth` would be added after signing: set the header `authorization`')
    }
    if (config.maxRedirects !== undefined && config.maxRedirects !== 0) {
      throw new TypeError('a signature is valid for one URL only: follow the redirect with a new request')
    }
    const { headers } = config
    const method = (config.method ?? 'get').toUpperCase()
    const data = transformed(config)
    const url = axios.getUri(config as never)
    // axios sets the same default when it sends.
    if (data !== undefined && data !== null && /^(?:POST|PUT|PATCH)$/.test(method)) {
      if (headers.get('content-type') === undefined)
        headers.set('content-type', 'application/x-www-form-urlencoded')
    }
    const sent = headersOf(headers)
    const body = typeof data === 'string' ? new TextEncoder().encode(data) : await readBody(data, sent)
    const signed = await sign({ method, url, headers: sent, body })
    if (signed['content-digest'] === undefined) headers.delete('content-digest')
    for (const [name, value] of Object.entries(signed)) headers.set(name, value)
    return {
      ...config,
      ...asSigned(new URL(url)),
      data: typeof data === 'string' || body === undefined ? data : body.buffer,
      maxRedirects: 0,
    }
  }
  axios.interceptors.request.use(prepare as never)
  return axios
}

/** Resets the settings that would change the request again, now or when the configuration is reused. */
function asSigned({ href }: URL): object {
  return {
    url: href,
    baseURL: undefined,
    allowAbsoluteUrls: true,
    params: undefined,
    paramsSerializer: { serialize: () => '' },
    transformRequest: [],
  }
}

function transformed(config: AxiosConfig): unknown {
  const { transformRequest = [] } = config
  let { data } = config
  for (const transform of typeof transformRequest === 'function' ? [transformRequest] : transformRequest) {
    config.headers.normalize()
    data = transform.call(config, data, config.headers)
  }
  config.headers.normalize()
  return data
}

function headersOf(given: AxiosHeadersLike): Headers {
  const headers = new Headers()
  for (const [name, value] of given) {
    if (value === undefined || value === null || value === false) continue
    for (const line of Array.isArray(value) ? (value as unknown[]) : [value])
      headers.append(name, String(line))
  }
  return headers
}
