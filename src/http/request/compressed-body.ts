import { Readable } from 'node:stream'
import { brotliDecompress, gunzip, inflate, type InputType, type ZlibOptions } from 'node:zlib'
import type { GuardRequest } from '../handler.ts'

/** A request whose content is plain: what body parsers read. */
export interface UnpackedRequest extends Readable {
  readonly headers: GuardRequest['headers']
  readonly method: string | undefined
  readonly url: string | undefined
  body?: unknown
}

export interface CompressedBody {
  /** The bytes as received. */
  readonly received: Uint8Array
  readonly unpacked: UnpackedRequest
}

type Done = (error: Error | null, result: Buffer) => void
type Decoder = (bytes: InputType, options: ZlibOptions, done: Done) => void

// RFC 9110 8.4.1: `deflate` is the zlib format, and `x-gzip` is `gzip`.
const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  ['deflate', inflate],
  ['br', brotliDecompress],
])

function decoderOf({ headers }: GuardRequest): Decoder | undefined {
  return DECODERS.get((headers['content-encoding'] ?? '').trim().toLowerCase())
}

/** Whether there is content that we can unpack, and that nobody has read yet. */
export function isDecodable(req: GuardRequest): boolean {
  const { headers, readable, readableDidRead } = req
  const hasBody = headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
  return hasBody && decoderOf(req) !== undefined && readable && !readableDidRead
}

/** Rejects with an error that has the `status` of the answer. */
export async function readCompressed(req: GuardRequest, limit: number): Promise<CompressedBody> {
  const received = await readBytes(req, limit)
  const bytes = await decode(req, received, limit)
  const { 'content-encoding': _coded, 'transfer-encoding': _framed, ...headers } = req.headers
  const unpacked = Object.assign(Readable.from([bytes], { objectMode: false }), {
    headers: { ...headers, 'content-length': String(bytes.length) },
    method: req.method,
    url: req.url,
  })
  return { received, unpacked }
}

function readBytes(req: GuardRequest, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const take = (chunk: Buffer): void => {
      chunks.push(chunk)
      length += chunk.length
      if (length > limit) stop(problem(413, 'the body is too large'))
    }
    const end = (): void => resolve(Buffer.concat(chunks))
    const abort = (): void => stop(problem(400, 'the request ended early'))
    function stop(error: Error): void {
      req.off('data', take).off('end', end).off('error', abort).off('close', abort)
      // What is left is thrown away as it comes, so that the answer can be read.
      req.resume()
      reject(error)
    }
    if (Number(req.headers['content-length']) > limit) stop(problem(413, 'the body is too large'))
    else req.on('data', take).on('end', end).on('error', abort).on('close', abort)
  })
}

function decode(req: GuardRequest, bytes: Buffer, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    decoderOf(req)?.(bytes, { maxOutputLength: limit }, (error, plain) => {
      if (error === null) resolve(plain)
      else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        reject(problem(413, 'the body is too large when unpacked'))
      else reject(problem(400, 'the body cannot be unpacked'))
    })
  })
}

/** An error as body-parser makes them, for the error handler of the application. */
function problem(status: 400 | 413, message: string): Error {
  return Object.assign(new Error(message), { status, statusCode: status, expose: true })
}
