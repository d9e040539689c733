import * as z from 'zod/mini'

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

/** The server of a made-up request, where nothing depends on it. */
export const SOME_URL = 'https://gateway.example/'

const text = (most: number) => z.string().check(z.maxLength(most))

/** A method, a header or a URL that Node would not take cannot be sent. */
const METHOD = /^[A-Z][A-Z-]{0,31}$/
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
const A_URL = 'must be an absolute URL of http or https, without user information and without a fragment'
const URL_OF_WEB = /^https?:\/\/[^\s\\#]+$/

// oxlint-disable-next-line typescript/explicit-module-boundary-types -- zod knows the type
export const writtenRequest = () =>
  z.strictObject({
    method: z.optional(z.string().check(z.regex(METHOD, 'must be the name of a method, like GET'))),
    url: z.prefault(
      text(2_048).check(z.regex(URL_OF_WEB, { error: A_URL, abort: true }), z.refine(isUrl, A_URL)),
      SOME_URL,
    ),
    headers: z.optional(
      z.record(
        z.string().check(z.regex(HEADER, 'must be the name of a header')),
        text(4_096).check(z.regex(/^[\t -~]*$/, 'must be printable ASCII')),
      ),
    ),
    body: z.optional(text(16_384)),
    address: z.optional(text(64)),
    returnUrl: z.optional(text(4_096)),
    returnUrlOptional: z.optional(z.boolean()),
    country: z.optional(z.union([text(64), z.array(text(64)).check(z.maxLength(20))])),
    here: z.optional(text(64).check(z.minLength(1))),
    signature: z.optional(
      z.strictObject({
        age: z.optional(z.int().check(z.gte(-86_400), z.lte(86_400))),
        digest: z.optional(z.boolean()),
        contentType: z.optional(z.boolean()),
      }),
    ),
    sinkFails: z.optional(z.boolean()),
  })

function isUrl(given: string): boolean {
  try {
    return new URL(given).username === '' && new URL(given).password === ''
  } catch {
    return false
  }
}
