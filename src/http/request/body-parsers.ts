import { AsyncResource } from 'node:async_hooks'
import { isUtf8 } from 'node:buffer'
import { checkOptions, wholeNumber, type Expectation } from '../../options.ts'
import { isUnpackable, unpack } from './compressed-body.ts'
import { framingOf, keepRawBody, keptRawBody, type Framing } from './content.ts'
import { awaitContent, holdBody } from './hold-body.ts'
import { bodyError, readBody, type BodyError } from './read-body.ts'
import type { GuardRequest, NextFunction, RequestHandler } from '../handler.ts'

export interface BodyParsersOptions {
  /**
   * The largest body that is read, in bytes: as it is received, and of a compressed one also what it unpacks to. A larger
   * one is answered 413 by the error handler. Default 102,400.
   */
  readonly limit?: number | undefined
  /**
   * Media types besides JSON and forms whose bytes are kept, up to the limit, for `serverOnly`: `['image/*',
   * 'multipart/form-data']`, or `true` for content of every type and of none. They are not parsed: `req.body` is left as it
   * is, and multer, busboy or your handler read the request behind as if nobody had read it. Default none.
   */
  readonly keep?: true | readonly string[] | undefined
  /**
   * Leaves JSON and forms to be read again, too, by what stands behind and reads the request by itself: a proxy, or a
   * framework with a parser of its own. Default false.
   */
  readonly replay?: boolean | undefined
  /**
   * Takes the bytes that another reader ahead has left in `req.rawBody`, as serverless adapters, Firebase and NestJS
   * (`rawBody: true`) do: a `Uint8Array` as long as `Content-Length` says, or one that is not empty where the request is
   * chunked and not compressed. What they hold as JSON or a form replaces `req.body`, so that handlers get what the guards
   * judge. Default false.
   */
  readonly rawBody?: boolean | undefined
}

/**
 * One handler with parsers for JSON (`application/json`, `application/*+json`) and form bodies that leave the parsed value in `req.body`
 * and keep the bytes as received, so that `serverOnly` can check their digest. Mount it ahead of the guards that need
 * the body. It can be spread into a list of handlers, too. A body of another type is left alone unless `keep` names it, and so is one that another parser has left in
 * `req.body`.
 *
 * - The text is UTF-8. Another `charset` is an error with status 415, bytes that are no UTF-8 are one with status 400.
 * - JSON is an object or an array; no bytes at all are `{}`. A form has at most 1,000 parameters; those with the same name
 *   are an array of strings, and the object has no prototype.
 * - Bodies compressed with `gzip`, `deflate` or `br` are kept as received, which their digest covers (RFC 9530), and then
 *   unpacked, up to the limit.
 * - Content of no bytes is no content, however it is framed and whatever its type. For chunked content of other types the
 *   first byte, or the end, is waited for.
 *
 * Whatever is wrong goes to the error handler, as an error with `status`, `type` and `expose` as those of body-parser have
 * them: 400, 413 or 415 for the caller's fault, and 500 where another reader of the request stands ahead.
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

  /** Parses what was received, and goes on. */
  function finish(parse: Parse, bytes: Uint8Array, req: GuardRequest, goOn: NextFunction): void {
    const settle = (error: BodyError | undefined, plain: Uint8Array): void => {
      const result = error ?? parsed(parse, plain)
      if (result instanceof Error) return goOn(result)
      // By the second name the parsers of Express 4 know that a body is parsed.
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

  /** Where a body may be empty, nothing is refused or left alone before that is known. */
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
    // What follows belongs to this request, though the event that it follows belongs to the connection.
    const goOn: NextFunction = AsyncResource.bind((error?: unknown) => next(error))
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

/** The bytes that another reader has left; `undefined` where they cannot be those that were received. */
function rawBodyOf(req: GuardRequest, framing: Framing): Uint8Array | undefined {
  const { rawBody } = req as { readonly rawBody?: unknown }
  if (!(rawBody instanceof Uint8Array)) return undefined
  // Other parsers leave what they have unpacked.
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

/** The content coding; empty where there is none. */
function codingOf({ headers }: GuardRequest): string {
  const coding = (headers['content-encoding'] ?? '').trim().toLowerCase()
  return coding === 'identity' ? '' : coding
}

type Parse = (text: string) => unknown

function parserOf(mediaType: string): Parse | undefined {
  if (/^application\/(?:[a-z0-9!#$&^_.+-]+\+)?json$/.test(mediaType)) return parseJson
  return mediaType === 'application/x-www-form-urlencoded' ? parseForm : undefined
}

/** Whether another parser, or this one on another mount, has read the body and left what it found. */
function isRead({ readableDidRead, readableEnded, body }: GuardRequest): boolean {
  return (readableDidRead || readableEnded) && body !== undefined
}

function parsed(parse: Parse, bytes: Uint8Array): { readonly body: unknown } | BodyError {
  if (!isUtf8(bytes)) return bodyError(400, 'entity.parse.failed', 'the body is not valid UTF-8')
  try {
    // The decoder takes a byte order mark off.
    return { body: parse(new TextDecoder().decode(bytes)) }
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

/** Readers of parameters in `parameters.ts` take as many. */
const MAX_PARAMETERS = 1000

function parseForm(text: string): Record<string, string | string[]> {
  const body = Object.create(null) as Record<string, string | string[]>
  if (text.split('&', MAX_PARAMETERS + 1).length > MAX_PARAMETERS) {
    throw bodyError(413, 'parameters.too.many', 'the form has too many parameters')
  }
  for (const [name, value] of new URLSearchParams(text)) {
    // Whoever assigns the members to another object would set its prototype.
    if (name === '__proto__') continue
    const before = body[name]
    if (before === undefined) body[name] = value
    else if (typeof before === 'string') body[name] = [before, value]
    else before.push(value)
  }
  return body
}

/** UTF-8 under the names that people write (the registered one, and that of the WHATWG), in any case, quoted or not. */
const UTF8 = /^(?:utf-?8|"utf-?8")$/i

/** JSON and forms are UTF-8 (RFC 8259 8.1). In another charset other readers would see another text. */
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
