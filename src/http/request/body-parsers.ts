import { isUtf8 } from 'node:buffer'
import { checkOptions, wholeNumber, type Expectation } from '../../options.ts'
import { boundNext } from './bound-next.ts'
import { isUnpackable, unpack } from './compressed-body.ts'
import { framingOf, keepRawBody, keptRawBody, type Framing } from './content.ts'
import { awaitContent, holdBody } from './hold-body.ts'
import { bodyError, readBody, type BodyError } from './read-body.ts'
import type { GuardRequest, NextFunction, RequestHandler } from '../handler.ts'

export interface BodyParsersOptions {
  /**
   * The largest body that is read, in bytes. For a compressed body the limit applies to the received and to the decompressed
   * bytes. The error handler answers a larger body with 413. Default 102,400.
   */
  readonly limit?: number | undefined
  /**
   * Media types besides JSON and forms whose bytes are kept for `serverOnly`, up to the limit: `['image/*',
   * 'multipart/form-data']`, or `true` for content of every type and of none. They are not parsed: `req.body` is unchanged, and
   * multer, busboy or your handler can still read the request from its start. Default: no other types.
   */
  readonly keep?: true | readonly string[] | undefined
  /**
   * Lets later code read JSON and forms from the request again: a proxy, or a framework with a parser of its own. Default false.
   */
  readonly replay?: boolean | undefined
  /**
   * Uses the bytes that an earlier reader has left in `req.rawBody`, as serverless adapters, Firebase and NestJS (`rawBody:
   * true`) do. They must be a `Uint8Array` of the length in `Content-Length`; for a chunked request, one that is not empty, and
   * the request must not be compressed. The JSON or form in these bytes replaces `req.body`: handlers then get what the guards
   * judge. Default false.
   */
  readonly rawBody?: boolean | undefined
}

/**
 * One handler that parses JSON (`application/json`, `application/*+json`) and form bodies into `req.body`, and keeps the bytes as
 * received, because `serverOnly` checks their digest. Mount it before the guards that need the body. It can also be spread into a
 * list of handlers. It does not read a body of another type, unless `keep` names the type, or a body that another parser has put
 * into `req.body`.
 *
 * - The text is UTF-8. Another `charset` is an error with status 415; bytes that are not UTF-8 are one with status 400.
 * - JSON is an object or an array; an empty body becomes `{}`. A form has at most 1,000 parameters; those with the same name
 *   become an array of strings, and the object has no prototype.
 * - Bodies compressed with `gzip`, `deflate` or `br` are kept as received, because the digest covers these bytes (RFC 9530), and
 *   then decompressed, up to the limit.
 * - Content of zero bytes counts as no content, whatever its framing and type. For chunked content of other types, the handler
 *   waits for the first byte or the end.
 *
 * Faults go to the error handler, as errors with the `status`, `type` and `expose` of body-parser: 400, 413 or 415 for a fault of
 * the caller, and 500 if an earlier handler reads the request.
 *
 * @throws ConfigError
 */
export function bodyParsers(options: BodyParsersOptions = {}): RequestHandler & Iterable<RequestHandler> {
  const settings = checkOptions<BodyParsersOptions>('bodyParsers', options, BODY_PARSERS_EXPECTATIONS)
  const reader = bodyReader(settings)
  return Object.assign(reader, { [Symbol.iterator]: () => [reader].values() })
}

const YES_OR_NO: Expectation = {
  expected: 'true or false',
  accepts: (value) => typeof value === 'boolean',
}

const MEDIA_TYPES: Expectation = {
  expected: 'true, or a list of media types like `image/png` and `image/*`',
  accepts: (value) =>
    value === true ||
    (Array.isArray(value) &&
      value.every((type) => typeof type === 'string' && MEDIA_RANGE.test(type.toLowerCase()))),
}

const MEDIA_RANGE = /^[a-z0-9!#$&^_.+-]+\/(?:[a-z0-9!#$&^_.+-]+|\*)$/

export const BODY_PARSERS_EXPECTATIONS = {
  limit: wholeNumber('bytes', 1, 2 ** 30),
  keep: MEDIA_TYPES,
  replay: YES_OR_NO,
  rawBody: YES_OR_NO,
} satisfies Record<keyof BodyParsersOptions, Expectation>

function bodyReader(settings: BodyParsersOptions): RequestHandler {
  const { limit = 102_400, replay = false, rawBody = false } = settings
  const isKept = keeping(settings.keep)

  /** Parses the received bytes, and continues. */
  function finish(parse: Parse, bytes: Uint8Array, req: GuardRequest, goOn: NextFunction): void {
    const settle = (error: BodyError | undefined, plain: Uint8Array): void => {
      const result = error ?? parsed(parse, plain)
      if (result instanceof Error) return goOn(result)
      // The parsers of Express 4 recognise a parsed body by `_body`.
      Object.assign(req, { body: result.body, _body: true })
      goOn()
    }
    const coding = codingOf(req)
    if (coding === '' || bytes.length === 0) settle(undefined, bytes)
    else unpack(coding, bytes, limit, settle)
  }

  function read(req: GuardRequest, parse: Parse | undefined, goOn: NextFunction): void {
    const take = parse === undefined || replay ? holdBody : readBody
    take(req, limit, (error, bytes) => {
      if (error !== undefined) return goOn(error)
      keepRawBody(req, bytes)
      if (parse === undefined) goOn()
      else finish(parse, bytes, req, goOn)
    })
  }

  /** If a body may be empty, waits until that is known, and only then refuses or skips it. */
  function readUnlessEmpty(
    req: GuardRequest,
    parse: Parse | undefined,
    refusal: BodyError | undefined,
    goOn: NextFunction,
  ): void {
    awaitContent(req, (error, hasContent) => {
      if (error !== undefined) return goOn(error)
      if (hasContent) return goOn(refusal)
      const empty = new Uint8Array(0)
      keepRawBody(req, empty)
      if (parse === undefined) goOn()
      else finish(parse, empty, req, goOn)
    })
  }

  return function bodyParser(req, _res, next) {
    const framing = framingOf(req)
    if (framing === 'none') {
      next()
      return
    }
    const type = mediaTypeOf(req)
    const parse = parserOf(type)
    const goOn = boundNext(next)
    const before = keptRawBody(req) ?? (rawBody ? rawBodyOf(req, framing) : undefined)
    if (before !== undefined) {
      const isParsed = keptRawBody(req) === before && req.body !== undefined
      keepRawBody(req, before)
      if (parse === undefined || isParsed) next()
      else finish(parse, before, req, goOn)
      return
    }
    if (isRead(req)) {
      next()
      return
    }
    const refusal =
      parse === undefined || framing === 'empty' ? undefined : (charsetProblem(req) ?? codingProblem(req))
    const wanted = parse !== undefined || isKept(type)
    if (wanted && refusal === undefined) read(req, parse, goOn)
    else if (framing === 'unknown') readUnlessEmpty(req, parse, refusal, goOn)
    else next(refusal)
  }
}

/** The bytes that another reader has left; `undefined` if they cannot be the received bytes. */
function rawBodyOf(req: GuardRequest, framing: Framing): Uint8Array | undefined {
  const { rawBody } = req as { readonly rawBody?: unknown }
  if (!(rawBody instanceof Uint8Array)) return undefined
  // Other parsers leave decompressed bytes.
  if (framing === 'unknown') return rawBody.length > 0 && codingOf(req) === '' ? rawBody : undefined
  return rawBody.length === Number(req.headers['content-length']) ? rawBody : undefined
}

function keeping(keep: BodyParsersOptions['keep']): (type: string) => boolean {
  if (keep === undefined) return () => false
  if (keep === true) return () => true
  const kept = new Set(keep.map((type) => type.toLowerCase()))
  return (type) => kept.has(type) || kept.has(type.slice(0, type.indexOf('/') + 1) + '*')
}

function mediaTypeOf({ headers }: GuardRequest): string {
  return ((headers['content-type'] ?? '').split(';', 1)[0] ?? '').trim().toLowerCase()
}

/** The content coding; empty if there is none. */
function codingOf({ headers }: GuardRequest): string {
  const coding = (headers['content-encoding'] ?? '').trim().toLowerCase()
  return coding === 'identity' ? '' : coding
}

type Parse = (text: string) => unknown

function parserOf(mediaType: string): Parse | undefined {
  if (/^application\/(?:[a-z0-9!#$&^_.+-]+\+)?json$/.test(mediaType)) return parseJson
  return mediaType === 'application/x-www-form-urlencoded' ? parseForm : undefined
}

/** Whether another parser, or this one on another mount, has parsed the body into `req.body`. */
function isRead({ readableDidRead, readableEnded, body }: GuardRequest): boolean {
  return (readableDidRead || readableEnded) && body !== undefined
}

/** Removes a byte order mark. */
const decoder = new TextDecoder()

function parsed(parse: Parse, bytes: Uint8Array): { readonly body: unknown } | BodyError {
  if (!isUtf8(bytes)) return bodyError(400, 'entity.parse.failed', 'the body is not valid UTF-8')
  try {
    return { body: parse(decoder.decode(bytes)) }
  } catch (error) {
    return error instanceof Error && 'status' in error
      ? (error as BodyError)
      : bodyError(400, 'entity.parse.failed', 'the body is not valid JSON')
  }
}

function parseJson(text: string): unknown {
  if (text === '') return {}
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null) return value
  throw bodyError(400, 'entity.parse.failed', 'the body is not a JSON object or array')
}

/** The same limit as in `parameters.ts`. */
const MAX_PARAMETERS = 1000

function parseForm(text: string): Record<string, string | string[]> {
  const body = Object.create(null) as Record<string, string | string[]>
  if (text.split('&', MAX_PARAMETERS + 1).length > MAX_PARAMETERS) {
    throw bodyError(413, 'parameters.too.many', 'the form has too many parameters')
  }
  for (const [name, value] of new URLSearchParams(text)) {
    // Assigning this member to another object would set the prototype of that object.
    if (name === '__proto__') continue
    const before = body[name]
    if (before === undefined) body[name] = value
    else if (typeof before === 'string') body[name] = [before, value]
    else before.push(value)
  }
  return body
}

/** The common names of UTF-8 (the registered one, and that of the WHATWG), in any case, quoted or not. */
const UTF8 = /^(?:utf-?8|"utf-?8")$/i

/** JSON and forms are UTF-8 (RFC 8259 8.1). In another charset, other readers would decode a different text. */
function charsetProblem({ headers }: GuardRequest): BodyError | undefined {
  const [, ...parameters] = (headers['content-type'] ?? '').split(';')
  for (const parameter of parameters) {
    const [name = '', ...value] = parameter.split('=')
    if (name.trim().toLowerCase() !== 'charset' || UTF8.test(value.join('=').trim())) continue
    return bodyError(415, 'charset.unsupported', 'the body must be UTF-8')
  }
  return undefined
}

function codingProblem(req: GuardRequest): BodyError | undefined {
  const coding = codingOf(req)
  if (coding === '' || isUnpackable(coding)) return undefined
  return bodyError(415, 'encoding.unsupported', 'the content coding of the body is not supported')
}
