import { AsyncResource } from 'node:async_hooks'
import { isUtf8 } from 'node:buffer'
import { checkOptions, wholeNumber, type Expectation } from '../../options.ts'
import { isUnpackable, unpack } from './compressed-body.ts'
import { keepRawBody } from './facts.ts'
import { bodyError, readBody, type BodyError } from './read-body.ts'
import type { GuardRequest, RequestHandler } from '../handler.ts'

export interface BodyParsersOptions {
  /**
   * The largest body that is read, in bytes: as it is received, and of a compressed one also what it unpacks to. A larger
   * one is answered 413 by the error handler. Default 102,400.
   */
  readonly limit?: number | undefined
}

/**
 * Parsers for JSON (`application/json`, `application/*+json`) and form bodies that leave the parsed value in `req.body`
 * and keep the bytes as received, so that `serverOnly` can check their digest. Mount them ahead of the guards that need
 * the body. A body of another type is left alone, and so is one that another parser has left in `req.body`.
 *
 * - The text is UTF-8. Another `charset` is an error with status 415, bytes that are no UTF-8 are one with status 400.
 * - JSON is an object or an array; no bytes at all are `{}`. A form has at most 1,000 parameters; those with the same name
 *   are an array of strings, and the object has no prototype.
 * - Bodies compressed with `gzip`, `deflate` or `br` are kept as received, which their digest covers (RFC 9530), and then
 *   unpacked, up to the limit.
 *
 * Whatever is wrong goes to the error handler, as an error with `status`, `type` and `expose` as those of body-parser have
 * them: 400, 413 or 415 for the caller's fault, and 500 where another reader of the request stands ahead.
 *
 * @throws ConfigError
 */
export function bodyParsers(options: BodyParsersOptions = {}): RequestHandler[] {
  checkOptions('bodyParsers', options, BODY_PARSERS_EXPECTATIONS)
  const { limit = 102_400 } = options
  return [
    function bodyParser(req, _res, next) {
      const parse = parserOf(req)
      if (parse === undefined || isRead(req)) {
        next()
        return
      }
      const coding = (req.headers['content-encoding'] ?? '').trim().toLowerCase()
      const isPlain = coding === '' || coding === 'identity'
      const refusal = charsetProblem(req) ?? (isPlain || isUnpackable(coding) ? undefined : unknownCoding())
      if (refusal !== undefined) {
        next(refusal)
        return
      }
      // What follows belongs to this request, though the event that it follows belongs to the connection.
      const goOn = AsyncResource.bind((error?: unknown) => next(error))
      const finish = (error: BodyError | undefined, bytes: Uint8Array): void => {
        const result = error ?? parsed(parse, bytes)
        if (result instanceof Error) return goOn(result)
        req.body = result.body
        // By this the parsers of Express 4 know that the body is read; they fail otherwise, where they stand behind.
        Object.assign(req, { _body: true })
        goOn()
      }
      readBody(req, limit, (error, bytes) => {
        if (error !== undefined) return goOn(error)
        keepRawBody(req, bytes)
        if (isPlain) finish(undefined, bytes)
        else unpack(coding, bytes, limit, finish)
      })
    },
  ]
}

export const BODY_PARSERS_EXPECTATIONS = {
  limit: wholeNumber('bytes', 1, 2 ** 30),
} satisfies Record<keyof BodyParsersOptions, Expectation>

type Parse = (text: string) => unknown

function parserOf(req: GuardRequest): Parse | undefined {
  const { 'content-length': length, 'transfer-encoding': coding, 'content-type': type = '' } = req.headers
  if (length === undefined && coding === undefined) return undefined
  const mediaType = (type.split(';', 1)[0] ?? '').trim().toLowerCase()
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

function unknownCoding(): BodyError {
  return bodyError(415, 'encoding.unsupported', 'the content coding of the body is not supported')
}
