import type { GuardRequest, GuardResponse } from '../http/handler.ts'
import { ConsoleProblem, CONSOLE_PROBLEMS, type ConsoleProblemCode } from './problems.ts'

/** The answer of a route. If `body` is left out, there is no content. */
export interface Answer {
  readonly status?: number | undefined
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The name of the caller, if it was not known before. It is recorded too. */
  readonly name?: string | undefined
  /** Creates server-sent events instead of a body. The signal is aborted when the caller disconnects. */
  readonly events?: ((gone: AbortSignal) => AsyncIterable<string>) | undefined
}

/** The largest body that is read, in bytes. */
export const LARGEST = 8 * 1_048_576
/** The largest body that is read from a caller who is not signed in, in bytes. */
export const LARGEST_OF_ANYONE = 4_096

/** The path and query after the mount path. */
export function targetOf({ url = '/' }: GuardRequest): { path: string; query: URLSearchParams } {
  const mark = url.indexOf('?')
  return mark === -1
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) }
}

/** The JSON of the body; `undefined` if there is no body. */
export async function readJson(req: GuardRequest, largest: number): Promise<unknown> {
  const type = req.headers['content-type']
  const { 'content-length': length, 'transfer-encoding': coding } = req.headers
  if (coding === undefined && (length === undefined || length === '0')) return undefined
  if (type === undefined || !/^application\/json(?:\s*;|$)/i.test(type))
    throw new ConsoleProblem('UNSUPPORTED_CONTENT')
  // A body parser of the app has already read it.
  if (req.readableDidRead || req.body !== undefined) return req.body as unknown
  const content = await readContent(req, largest)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content)) as unknown
  } catch {
    throw new ConsoleProblem('REQUEST_INVALID', { detail: 'the content is not JSON' })
  }
}

async function readContent(req: GuardRequest, largest: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    // The connection stays open, so that a caller who sends too much still gets an answer.
    for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > largest) break
      chunks.push(chunk)
    }
  } catch {
    throw new ConsoleProblem('REQUEST_INVALID', { detail: 'the content ended early' })
  }
  if (size <= largest) return Buffer.concat(chunks)
  req.resume()
  throw new ConsoleProblem('CONTENT_TOO_LARGE')
}

/** The headers of every answer of the console. */
export function setSecurityHeaders(res: GuardResponse): void {
  const headers = {
    'Content-Security-Policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
      "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  }
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
}

export function sendAnswer(res: GuardResponse, { status = 200, body, headers = {} }: Answer): void {
  if (res.destroyed) return
  res.setHeader('Cache-Control', 'no-store')
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  if (body === undefined) {
    res.statusCode = status === 200 ? 204 : status
    res.end()
    return
  }
  const bytes = Buffer.from(JSON.stringify(body))
  res.statusCode = status
  if (!res.hasHeader('Content-Type')) res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', bytes.length)
  res.end(bytes)
}

/** Sends events as they are created, until they end or the caller disconnects. */
export async function sendEvents(res: GuardResponse, events: NonNullable<Answer['events']>): Promise<void> {
  const gone = new AbortController()
  res.once('close', () => gone.abort())
  res.setHeader('Content-Type', 'text/event-stream')
  res.setHeader('Cache-Control', 'no-store')
  // Otherwise some proxies would buffer everything until the end.
  res.setHeader('X-Accel-Buffering', 'no')
  res.flushHeaders()
  try {
    for await (const event of events(gone.signal)) {
      if (gone.signal.aborted) break
      if (!res.write(event))
        await new Promise((resolve) => void res.once('drain', resolve).once('close', resolve))
    }
  } finally {
    res.end()
  }
}

/** Answers with `application/problem+json` (RFC 9457). */
export function sendConsoleProblem(
  res: GuardResponse,
  code: ConsoleProblemCode,
  requestId: string,
  members: Readonly<Record<string, unknown>> = {},
): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  const { status, title } = CONSOLE_PROBLEMS[code]
  const type = `urn:problem-type:portcullis:console:${code.toLowerCase().replaceAll('_', '-')}`
  res.setHeader('Content-Type', 'application/problem+json')
  if (status === 401) res.setHeader('WWW-Authenticate', 'Session')
  if (status === 503) res.setHeader('Retry-After', '5')
  sendAnswer(res, { status, body: { type, title, status, code, instance: requestId, ...members } })
}
