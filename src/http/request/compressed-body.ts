import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { bodyError, type BodyError } from './read-body.ts'

interface Inflated {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

/** The option `info`, which the types of Node lack, adds the engine to the result. */
type Decoder = (
  bytes: Uint8Array,
  options: { readonly maxOutputLength: number; readonly info: true },
  done: (error: NodeJS.ErrnoException | null, result: Inflated) => void,
) => void

// RFC 9110 8.4.1: `deflate` is the zlib format, and `x-gzip` is `gzip`.
const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ['gzip', gunzip as unknown as Decoder],
  ['x-gzip', gunzip as unknown as Decoder],
  ['deflate', inflate as unknown as Decoder],
  ['br', brotliDecompress as unknown as Decoder],
])

/** Whether `unpack` supports the content coding. */
export function isUnpackable(coding: string): boolean {
  return DECODERS.has(coding)
}

/**
 * Decompresses a body with a supported content coding, and calls back with the result or with an error for the error handler.
 * Bytes after the end of the compressed data are an error, because another reader may interpret them.
 *
 * @param limit the most decompressed bytes; more are an error with status 413
 */
export function unpack(
  coding: string,
  bytes: Uint8Array,
  limit: number,
  done: (error: BodyError | undefined, plain: Buffer) => void,
): void {
  DECODERS.get(coding)?.(bytes, { maxOutputLength: limit, info: true }, (error, result) => {
    if (error?.code === 'ERR_BUFFER_TOO_LARGE') {
      done(bodyError(413, 'entity.too.large', 'the body is too large when decompressed'), EMPTY)
    } else if (error !== null || result.engine.bytesWritten !== bytes.length) {
      done(bodyError(400, 'entity.unpack.failed', 'the body cannot be decompressed'), EMPTY)
    } else {
      done(undefined, result.buffer)
    }
  })
}

const EMPTY: Buffer = Buffer.alloc(0)
