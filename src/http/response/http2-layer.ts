/* oxlint-disable no-underscore-dangle -- the names that stream.Writable has for its implementers */
import type { ServerHttp2Stream } from 'node:http2'
import { UsageError } from '../../errors.ts'
import type { GuardResponse } from '../handler.ts'
import { HeldStream, type Done, type Native } from './http2-stream.ts'

const streamKey = Symbol('portcullis.stream')

interface Sending extends ServerHttp2Stream {
  [streamKey]?: HeldStream
}

/** The symbol under which Node keeps the native handle of a stream. */
let nativeKey: symbol | undefined

function nativeOf(stream: object): Native | undefined {
  nativeKey ??= Object.getOwnPropertySymbols(stream).find(({ description }) => description === 'kHandle')
  const native = nativeKey && (Reflect.get(stream, nativeKey) as Partial<Native> | undefined)
  if (typeof native?.respond !== 'function') return undefined
  return typeof native.info === 'function' && typeof native.trailers === 'function'
    ? (native as Native)
    : undefined
}

/** The methods that wrap those of a class of streams. */
const LAYER: ThisType<Sending & { [streamKey]: HeldStream }> = {
  _write(chunk: unknown, encoding: BufferEncoding, done: Done) {
    this[streamKey].write(chunk, encoding, done)
  },
  _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done) {
    this[streamKey].writeAll(chunks, done)
  },
  _final(done: Done) {
    this[streamKey].final(done)
  },
  close(code?: number, callback?: () => void) {
    this[streamKey].close(code, callback)
  },
  destroy(error?: Error) {
    this[streamKey].destroy(error)
    return this
  },
  // A pushed stream is a response of its own. Servers check this before they push.
  get pushAllowed() {
    return false
  },
  respondWithFile: unheld,
  respondWithFD: unheld,
}

function unheld(): never {
  throw new UsageError(
    'behind `auditAccess` a file cannot be sent with `respondWithFile` or `respondWithFD`: pipe it into the response',
  )
}

/** The wrapping prototype of each class of streams. */
const layers = new WeakMap<object, object>()

function layerOver(inner: object): object {
  let layer = layers.get(inner)
  if (layer === undefined) {
    layer = Object.create(inner, Object.getOwnPropertyDescriptors(LAYER)) as object
    layers.set(inner, layer)
  }
  return layer
}

/** The stream of an HTTP/2 response; `undefined` for any other response. */
export function http2StreamOf(res: GuardResponse): ServerHttp2Stream | undefined {
  if (!('stream' in res)) return undefined
  const { stream } = res as { stream?: Partial<ServerHttp2Stream> }
  return typeof stream?.respond === 'function' ? (stream as ServerHttp2Stream) : undefined
}

/** Whether the response of a stream can be held. */
export function canHoldStream(stream: ServerHttp2Stream): boolean {
  return streamKey in stream || stream.destroyed || nativeOf(stream) !== undefined
}

/** @throws TypeError if this version of Node does not expose the native handle of a stream */
export function heldStreamOf(stream: Sending): HeldStream {
  const known = stream[streamKey]
  if (known !== undefined) return known
  const native = nativeOf(stream)
  if (native === undefined && !stream.destroyed)
    throw new TypeError('HTTP/2 responses cannot be held back on this version of Node')
  const inner = Object.getPrototypeOf(stream) as ServerHttp2Stream
  const held = new HeldStream(stream, inner, native)
  stream[streamKey] = held
  Object.setPrototypeOf(stream, layerOver(inner))
  return held
}
