import type { Content } from '../../signature/digest.ts'
import type { GuardRequest } from '../handler.ts'
import { UNREADABLE, type HeaderLines } from './headers.ts'
import { canDigestStream } from './streamed-digest.ts'

// A registered symbol: the bytes that one build has kept, the guard of the other must find.
const rawBodies: unique symbol = Symbol.for('portcullis.rawBody')

/** Keeps the bytes of a body as they were received, for the digest. Called by `bodyParsers` before parsing. */
export function keepRawBody(req: GuardRequest, bytes: Uint8Array): void {
  ;(req as { [rawBodies]?: Uint8Array })[rawBodies] = bytes
}

/** The bytes of a body as they were received, where they were kept. */
export function keptRawBody(req: GuardRequest): Uint8Array | undefined {
  return (req as { [rawBodies]?: Uint8Array })[rawBodies]
}

const NONE: Content = Object.freeze({ kind: 'none' })
const UNAVAILABLE: Content = Object.freeze({ kind: 'unavailable' })
const DIGESTED: Content = Object.freeze({ kind: 'unavailable', digested: true })

export type Framing = 'none' | 'empty' | 'some' | 'unknown'

/** What the head of a request says of its content. Only the end of the stream proves that there is none in chunks. */
export function framingOf(req: GuardRequest): Framing {
  const { 'content-length': length, 'transfer-encoding': coding } = req.headers
  if (coding !== undefined) return 'unknown'
  if (length !== undefined) return Number(length) === 0 ? 'empty' : 'some'
  // HTTP/2 frames content without naming a length.
  const { stream } = req as { readonly stream?: { readonly endAfterHeaders?: unknown } }
  return req.httpVersionMajor === 2 && stream?.endAfterHeaders !== true ? 'unknown' : 'none'
}

/** The content of a request as far as it is at hand now: body parsers may come between two guards. */
export function contentOf(req: GuardRequest, lines: HeaderLines, isHttp2: boolean): Content {
  const bytes = keptRawBody(req)
  const coding = lines.one('transfer-encoding')
  // Node takes a request with any other transfer coding for one without content, whatever its sender meant.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return UNAVAILABLE
  if (bytes !== undefined) return { kind: 'bytes', bytes }
  // HTTP/2 frames content without naming a length.
  const mayCome = isHttp2 || coding !== undefined || declaresContent(req, lines)
  return mayCome && !hasEndedEmpty(req, isHttp2) ? UNAVAILABLE : NONE
}

/** The same where content that is still to come is digested as it arrives. */
export function streamedContent(req: GuardRequest, content: Content): Content {
  return content.kind === 'unavailable' && canDigestStream(req) ? DIGESTED : content
}

/** Whether the head of a request of HTTP/1 says that there is content, if only of no bytes. */
export function framesContent(lines: HeaderLines): boolean {
  return lines.hasOneOf(FRAMING)
}

const FRAMING = ['content-length', 'transfer-encoding']

/** Adapters such as serverless-http hand over a length that is a number. */
function declaresContent(req: GuardRequest, lines: HeaderLines): boolean {
  const length = lines.one('content-length')
  if (length !== UNREADABLE) return length !== undefined && Number(length) !== 0
  return (req.headers['content-length'] as unknown) !== 0
}

/** The stream has ended, and there was nothing in it: proof that there is no content, however it was framed. */
function hasEndedEmpty(req: GuardRequest, isHttp2: boolean): boolean {
  const { stream } = isHttp2 ? (req as { stream?: { endAfterHeaders?: unknown } }) : {}
  return stream?.endAfterHeaders === true || (req.readableEnded && !req.readableDidRead)
}
