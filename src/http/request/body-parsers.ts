import bodyParser from 'body-parser'
import { checkOptions, wholeNumber, type Expectation } from '../../options.ts'
import { isDecodable, readCompressed, type CompressedBody } from './compressed-body.ts'
import { keepRawBody } from './facts.ts'
import type { GuardRequest, RequestHandler } from '../handler.ts'

export interface BodyParsersOptions {
  /**
   * The largest body that is read, in bytes: as it is received, and of a compressed one also what it unpacks to. A larger
   * one is answered 413 by the error handler. Default 102 400.
   */
  readonly limit?: number | undefined
}

/**
 * Parsers for JSON (`application/json`, `application/*+json`) and form bodies that leave the parsed value in `req.body`
 * and keep the bytes as received, so that `serverOnly` can check their digest. Mount them ahead of the guards that need
 * the body.
 *
 * Bodies compressed with `gzip`, `deflate` or `br` are kept as received, which their digest covers (RFC 9530), and then
 * unpacked, up to the limit. A malformed body goes to the error handler as an error with `status` 400, 413 or 415.
 *
 * @throws ConfigError
 */
export function bodyParsers(options: BodyParsersOptions = {}): RequestHandler[] {
  checkOptions('bodyParsers', options, BODY_PARSERS_EXPECTATIONS)
  const { limit = 102_400 } = options
  const shared = { limit, inflate: false }
  const keeping = {
    ...shared,
    verify: (req: GuardRequest, _res: unknown, bytes: Buffer) => keepRawBody(req, bytes),
  }
  const json = { type: (req: GuardRequest) => isJson(mediaTypeOf(req)) }
  const form = { type: (req: GuardRequest) => mediaTypeOf(req) === FORM, extended: false }

  // Of unpacked bodies the bytes as received are kept already.
  const unpackedJson = bodyParser.json({ ...shared, ...json })
  const unpackedForm = bodyParser.urlencoded({ ...shared, ...form })
  const unpack: RequestHandler = (req, res, next) => {
    if (!isDecodable(req) || (!json.type(req) && !form.type(req))) {
      next()
      return
    }
    // In a tick of its own, where a fault of what comes next is not ours.
    const goOn = (error?: unknown): void => process.nextTick(next, error)
    const parse = ({ received, unpacked }: CompressedBody): void => {
      keepRawBody(req, received)
      const parser = json.type(req) ? unpackedJson : unpackedForm
      parser(unpacked as never, res, (error?: unknown) => {
        req.body = unpacked.body
        goOn(error)
      })
    }
    readCompressed(req, limit).then(parse).catch(goOn)
  }
  return [
    unpack,
    bodyParser.json({ ...keeping, ...json }) as RequestHandler,
    bodyParser.urlencoded({ ...keeping, ...form }) as RequestHandler,
  ]
}

export const BODY_PARSERS_EXPECTATIONS = {
  limit: wholeNumber('bytes', 1, 2 ** 30),
} satisfies Record<keyof BodyParsersOptions, Expectation>

const FORM = 'application/x-www-form-urlencoded'

function isJson(mediaType: string): boolean {
  return /^application\/(?:[a-z0-9!#$&^_.+-]+\+)?json$/.test(mediaType)
}

function mediaTypeOf({ headers }: GuardRequest): string {
  const type = headers['content-type'] ?? ''
  return (type.split(';', 1)[0] ?? '').trim().toLowerCase()
}
