import type { Content } from '../../signature/digest.ts'
import type { GuardRequest } from '../handler.ts'
import { UNREADABLE, type HeaderLines } from './headers.ts'
import { canDigestStream } from './streamed-digest.ts'

// A registered symbol, because a guard of one build must find the bytes that the other build has kept.
const rawBodies: unique symbol = Symbol.for('portcullis.rawBody')

/** Keeps the bytes of a body as they were received, for the digest. Called by `bodyParsers` before parsing. */
export function keepRawBody(req: GuardRequest, bytes: Uint8Array): void {
  ;(req as { [rawBodies]?: Uint8Array })[rawBodies] = bytes
}

/** The bytes of a body as they were received, if they were kept. */
export function keptRawBody(req: GuardRequest): Uint8Array | undefined {
  return (req as { [rawBodies]?: Uint8Array })[rawBodies]
}

const NONE: Content = Object.freeze({ kind: 'none' })
const UNAVAILABLE: Content = Object.freeze({ kind: 'unavailable' })
const DIGESTED: Content = Object.freeze({ kind: 'unavailable', digested: true })

export type Framing = 'none' | 'empty' | 'some' | 'unknown'

/**
 * What the head of a request says about its content. For chunked content, only the end of the stream proves that there is none.
 */
export function framingOf(req: GuardRequest): Framing {
  const { 'content-length': length, 'transfer-encoding': coding } = req.headers
  if (coding !== undefined) return 'unknown'
  if (length !== undefined) return Number(length) === 0 ? 'empty' : 'some'
  // HTTP/2 frames content without stating its length.
  const { stream } = req as { readonly stream?: { readonly endAfterHeaders?: unknown } }
  return req.httpVersionMajor === 2 && stream?.endAfterHeaders !== true ? 'unknown' : 'none'
}

/** The content of a request that is available now. Body parsers may run between two guards. */
export function contentOf(req: GuardRequest, lines: HeaderLines, isHttp2: boolean): Content {
  const bytes = keptRawBody(req)
  const coding = lines.one('transfer-encoding')
  // Node treats a request with any other transfer coding as one without content, whatever its sender meant.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return UNAVAILABLE
  if (bytes !== undefined) return { kind: 'bytes', bytes }
  // HTTP/2 frames content without stating its length.
  const mayCome = isHttp2 || coding !== undefined || declaresContent(req, lines)
  return mayCome && !hasEndedEmpty(req, isHttp2) ? UNAVAILABLE : NONE
}

/** Like {@link contentOf}, if content that has not arrived yet is digested as it arrives. */
export function streamedContent(req: GuardRequest, content: Content): Content {
  return content.kind === 'unavailable' && canDigestStream(req) ? DIGESTED : content
}

/** Whether the head of an HTTP/1 request announces content, even of zero bytes. */
export function framesContent(lines: HeaderLines): boolean {
  return lines.hasOneOf(FRAMING)
}

const FRAMING = ['content-length', 'transfer-encoding']

/** Adapters such as serverless-http pass the length as a number. */
function declaresContent(req: GuardRequest, lines: HeaderLines): boolean {
  const length = lines.one('content-length')
  if (length !== UNREADABLE) return length !== undefined && Number(length) !== 0
  return (req.headers['content-length'] as unknown) !== 0
}

/** Whether the stream has ended without data, which proves that there is no content, whatever its framing. */
function hasEndedEmpty(req: GuardRequest, isHttp2: boolean): boolean {
  const { stream } = isHttp2 ? (req as { stream?: { endAfterHeaders?: unknown } }) : {}
  return stream?.endAfterHeaders === true || (req.readableEnded && !req.readableDidRead)
}
