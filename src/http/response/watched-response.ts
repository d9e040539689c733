import type { OutgoingHttpHeaders } from 'node:http'
import { brotliDecompressSync, constants, inflateSync, unzipSync } from 'node:zlib'
import type { GuardResponse } from '../handler.ts'

/** The most bytes of a response that are searched, as sent and decompressed. */
const MOST = 1_048_576

type Method = (...given: unknown[]) => unknown

/**
 * Calls `look` with a response when its handler ends it, before the last bytes are sent. If `look` returns an error, the handler
 * gets it as an exception if nothing was sent yet; otherwise the response is cut. Data that was written before this call is not
 * seen.
 *
 * The methods are on the response itself, because Express replaces its prototype.
 */
export function watchResponse(res: GuardResponse, look: (text: string) => Error | undefined): void {
  const chunks: Buffer[] = []
  let size = 0
  let isDone = false
  const take = (chunk: unknown, encoding: unknown): void => {
    if (isDone || size >= MOST) return
    const bytes = bytesOf(chunk, encoding)
    if (bytes === undefined) return
    chunks.push(bytes)
    size += bytes.length
  }
  const judge = (): Error | undefined => {
    if (isDone) return undefined
    isDone = true
    try {
      return look(`${headOf(res)}\n${textOf(res, Buffer.concat(chunks).subarray(0, MOST))}`)
    } finally {
      chunks.length = 0
    }
  }
  const before = res.getHeaders()
  const write = res.write as Method
  const end = res.end as Method
  put(res, 'write', function (this: unknown, ...given) {
    take(given[0], given[1])
    return Reflect.apply(write, this, given)
  })
  put(res, 'end', function (this: unknown, ...given) {
    take(given[0], given[1])
    const leak = judge()
    if (leak === undefined) return Reflect.apply(end, this, given)
    if (res.headersSent) res.destroy(leak)
    else {
      restoreHeaders(res, before)
      throw leak
    }
    return this
  })
  // A response that is cut short never calls `end`.
  res.once('close', judge)
}

/** Restores the headers: nothing of the stopped response may be in the head of another one. */
function restoreHeaders(res: GuardResponse, before: OutgoingHttpHeaders): void {
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  for (const [name, value] of Object.entries(before)) if (value !== undefined) res.setHeader(name, value)
}

function put(res: GuardResponse, name: string, value: Method): void {
  Object.defineProperty(res, name, { value, writable: true, configurable: true })
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer | undefined {
  if (typeof chunk === 'string') {
    const known = typeof encoding === 'string' && Buffer.isEncoding(encoding)
    return Buffer.from(chunk, known ? encoding : 'utf8')
  }
  return chunk instanceof Uint8Array ? Buffer.from(chunk) : undefined
}

/** The known parts of the head: the headers that are set, and the rendered text. */
function headOf(res: GuardResponse): string {
  const { _header: rendered } = res as { _header?: unknown }
  const set = Object.values(res.getHeaders()).flat()
  return [...set, typeof rendered === 'string' ? rendered : ''].join('\n')
}

function textOf(res: GuardResponse, body: Buffer): string {
  // A compressed body that was cut off can be read up to the cut.
  const zlib = { maxOutputLength: MOST, finishFlush: constants.Z_SYNC_FLUSH }
  const brotli = { maxOutputLength: MOST, finishFlush: constants.BROTLI_OPERATION_FLUSH }
  try {
    switch (String(res.getHeader('content-encoding') ?? '').toLowerCase()) {
      case 'gzip':
        return unzipSync(body, zlib).toString()
      case 'deflate':
        return inflateSync(body, zlib).toString()
      case 'br':
        return brotliDecompressSync(body, brotli).toString()
      default:
        return body.toString()
    }
  } catch {
    return ''
  }
}
