/** How a described request is signed with a key of the app. By default, the signature is valid. */
export interface WrittenSignature {
  /** How long ago the request was signed, in seconds. Negative: in the future. Default 0. */
  readonly age?: number | undefined
  /** Whether the signature covers a digest of the content. Default: true if there is content. */
  readonly digest?: boolean | undefined
  /** Whether the signature covers the `content-type`. Default: true if the request has one. */
  readonly contentType?: boolean | undefined
}

/** A request as JSON, in expectations and in the results of a comparison. */
export interface WrittenRequest {
  /** Default `GET`. */
  readonly method?: string | undefined
  /** The absolute URL of the request. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  /** The client address. */
  readonly address?: string | undefined
  /** The return URL. An empty string means a request without one. Left out: `returnUrlGuard` does not judge the request. */
  readonly returnUrl?: string | undefined
  /** Whether the guard is mounted with an optional return URL. Default false. */
  readonly returnUrlOptional?: boolean | undefined
  /** The person's citizenship, or several. Left out: unknown. */
  readonly country?: string | readonly string[] | undefined
  /** The location of the instance. Left out: `regionPin` does not judge the request. */
  readonly here?: string | undefined
  /** The signature of the request. Left out: none. */
  readonly signature?: WrittenSignature | undefined
  /** Whether events cannot be stored at the moment. Default false. */
  readonly sinkFails?: boolean | undefined
}

/**
 * Returns a header name that repeats an earlier one in another case. A server would receive two lines of that header, which
 * is another request.
 */
export function repeatedHeader(headers: Readonly<Record<string, unknown>>): string | undefined {
  const names = new Set<string>()
  return Object.keys(headers).find((name) => names.size === names.add(name.toLowerCase()).size)
}

/** The URL of an invented request, if its value does not matter. */
export const SOME_URL = 'https://gateway.example/'
