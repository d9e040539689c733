/** How a described request is signed, by a key of the app. What is left out is as it should be. */
export interface WrittenSignature {
  /** How long ago it was signed, in seconds; below zero in the future. Default 0. */
  readonly age?: number | undefined
  /** Whether it covers a digest of the content. Default: where there is content. */
  readonly digest?: boolean | undefined
  /** Whether it covers the `content-type`. Default: where one was sent. */
  readonly contentType?: boolean | undefined
}

/** A request as JSON: what an expectation asks about, and what a comparison answers with. */
export interface WrittenRequest {
  /** Default `GET`. */
  readonly method?: string | undefined
  /** The absolute URL that is called. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  /** The client address. */
  readonly address?: string | undefined
  /** The return URL; an empty string names none. Left out, `returnUrlGuard` is not asked. */
  readonly returnUrl?: string | undefined
  /** Whether the return URL may be left out where the guard is mounted. Default false. */
  readonly returnUrlOptional?: boolean | undefined
  /** The citizenship of the person, or several. Left out: it is not known. */
  readonly country?: string | readonly string[] | undefined
  /** The location of the instance. Left out, `regionPin` is not asked. */
  readonly here?: string | undefined
  /** How it is signed. Left out: it is not. */
  readonly signature?: WrittenSignature | undefined
  /** Whether the audit cannot be kept at the moment. Default false. */
  readonly sinkFails?: boolean | undefined
}

/** A name that stands in these headers before in another case. A server would get two lines of one header, which is another request. */
export function repeatedHeader(headers: Readonly<Record<string, unknown>>): string | undefined {
  const names = new Set<string>()
  return Object.keys(headers).find((name) => names.size === names.add(name.toLowerCase()).size)
}

/** The server of a made-up request, where nothing depends on it. */
export const SOME_URL = 'https://gateway.example/'
