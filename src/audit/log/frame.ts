import { createHmac, hash, timingSafeEqual, type KeyObject } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { UnreadableError } from '../../errors.ts'
import { HASH_BYTES } from './merkle.ts'
import { rootOfText } from './root-of-text.ts'

/**
 * Consecutive events of one writer: the unit of storing, hashing and sending. Its `link` commits to its events and to all earlier
 * frames of the same writer.
 */
export interface Frame {
  /** The process that wrote it. */
  readonly writer: string
  /** The number of its first event. The events of a writer are numbered from 1 without a gap. */
  readonly first: number
  readonly count: number
  /** `link` of the previous frame; 32 zero bytes in the first frame. */
  readonly previous: Buffer
  /** The Merkle root of its events, as stated in the frame. */
  readonly root: Buffer
  /** SHA-256 of all of the above. */
  readonly link: Buffer
  /** HMAC-SHA-256 of `link`, if the writer has a key. */
  readonly mac: Buffer | undefined
  /** The frame as it is stored. */
  readonly bytes: Buffer
}

/** The input of `makeFrame`. */
export interface FrameParts {
  readonly writer: string
  readonly first: number
  readonly previous: Buffer
  /** One event in each line, as written by `serialiseEvent`: printable ASCII without a line feed. */
  readonly lines: readonly string[]
  readonly key?: KeyObject | undefined
}

/** The number of the last event of a frame. */
export function lastOf({ first, count }: Pick<Frame, 'first' | 'count'>): number {
  return first + count - 1
}

/** How many events a frame has at most. */
export const MOST_EVENTS = 4_096
/** From this number of events on, the body is compressed. For fewer, it costs more than it saves. */
const DEFLATED_FROM = 8
/** The longest body of a frame: the largest number of the longest lines. */
const LONGEST_BODY = MOST_EVENTS * 8_193
/** `previous` of the first frame of a writer. */
export const NO_LINK: Buffer = Buffer.alloc(HASH_BYTES)

const MAGIC = 0xf1
const DEFLATED = 1
const HAS_MAC = 2
const WRITER = /^[A-Za-z0-9_-]{1,64}$/
/** Length of the fixed members after the writer: first, count, previous, root, length of the body. */
const FIXED = 8 + 4 + HASH_BYTES + HASH_BYTES + 4

/** The link of a frame. All lengths are fixed or included, so that different frames never have the same input. */
export function linkOf(frame: Pick<Frame, 'writer' | 'first' | 'count' | 'previous' | 'root'>): Buffer {
  const { writer, first, count, previous, root } = frame
  const bytes = Buffer.allocUnsafe(LINK_PREFIX.length + 13 + writer.length + 2 * HASH_BYTES)
  let at = bytes.write(LINK_PREFIX, 'latin1')
  at = bytes.writeUInt8(writer.length, at)
  at += bytes.write(writer, at, 'latin1')
  at = writeNumbers(bytes, at, first, count)
  at += previous.copy(bytes, at)
  root.copy(bytes, at)
  return hash('sha256', bytes, 'buffer')
}

const LINK_PREFIX = 'portcullis/link/1\0'

/** Writes the number of the first event in 8 bytes, and the number of events in 4. Returns where they end. */
function writeNumbers(bytes: Buffer, at: number, first: number, count: number): number {
  bytes.writeUInt32BE(Math.floor(first / 2 ** 32), at)
  bytes.writeUInt32BE(first % 2 ** 32, at + 4)
  return bytes.writeUInt32BE(count, at + 8)
}

/** Makes a frame of at least one event. */
export function makeFrame({ writer, first, previous, lines, key }: FrameParts): Frame {
  const text = Buffer.from(lines.join('\n'), 'latin1')
  const root = rootOfText(text)
  const count = lines.length
  const link = linkOf({ writer, first, count, previous, root })
  const mac = key === undefined ? undefined : macOf(link, key)
  const deflated = count >= DEFLATED_FROM
  const body = deflated ? deflateRawSync(text, { level: 1 }) : text
  const bytes = Buffer.allocUnsafe(3 + writer.length + FIXED + (mac?.length ?? 0) + body.length)
  bytes[0] = MAGIC
  bytes[1] = (deflated ? DEFLATED : 0) | (mac === undefined ? 0 : HAS_MAC)
  bytes[2] = writer.length
  let at = 3 + bytes.write(writer, 3, 'latin1')
  at = writeNumbers(bytes, at, first, count)
  at += previous.copy(bytes, at)
  at += root.copy(bytes, at)
  at = bytes.writeUInt32BE(text.length, at)
  at += mac?.copy(bytes, at) ?? 0
  body.copy(bytes, at)
  return { writer, first, count, previous, root, link, mac, bytes }
}

function macOf(link: Buffer, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(link).digest()
}

/** Whether the frame was made by a holder of the key. */
export function isMadeBy(frame: Frame, key: KeyObject): boolean {
  return frame.mac !== undefined && timingSafeEqual(frame.mac, macOf(frame.link, key))
}

/** The body of a frame, and how the header describes it. */
interface Layout {
  readonly frame: Frame
  readonly body: Buffer
  readonly deflated: boolean
  readonly length: number
}

/**
 * Reads the header of a frame. It does not check `root` against the events: see {@link linesOf}.
 *
 * @throws UnreadableError if the bytes are not a frame.
 */
export function readFrame(bytes: Buffer): Frame {
  return layoutOf(bytes).frame
}

function layoutOf(bytes: Buffer): Layout {
  const flags = bytes[1] ?? 0
  const nameLength = bytes[2] ?? 0
  const macLength = (flags & HAS_MAC) === 0 ? 0 : HASH_BYTES
  if (bytes[0] !== MAGIC || flags > (DEFLATED | HAS_MAC)) throw unreadable('its header is wrong')
  if (bytes.length < 3 + nameLength + FIXED + macLength) throw unreadable('it is truncated')
  const writer = bytes.toString('latin1', 3, 3 + nameLength)
  if (!WRITER.test(writer)) throw unreadable('its writer is wrong')
  let at = 3 + nameLength
  const first = Number(bytes.readBigUInt64BE(at))
  const count = bytes.readUInt32BE(at + 8)
  at += 12
  const previous = bytes.subarray(at, at + HASH_BYTES)
  const root = bytes.subarray(at + HASH_BYTES, at + 2 * HASH_BYTES)
  at += 2 * HASH_BYTES
  const length = bytes.readUInt32BE(at)
  at += 4
  const deflated = (flags & DEFLATED) !== 0
  if (!Number.isSafeInteger(first + count) || first < 1) throw unreadable('its event numbers are wrong')
  if (count < 1 || count > MOST_EVENTS || length > LONGEST_BODY) throw unreadable('its size is wrong')
  // Each frame has only one valid form, apart from the output of the compressor.
  if (deflated !== count >= DEFLATED_FROM) throw unreadable('it is compressed where it must not be')
  const mac = macLength === 0 ? undefined : bytes.subarray(at, at + macLength)
  const link = linkOf({ writer, first, count, previous, root })
  const body = bytes.subarray(at + macLength)
  return { frame: { writer, first, count, previous, root, link, mac, bytes }, body, deflated, length }
}

/** A frame with its events, one in each line, and their actual Merkle root. The frame is intact if this equals `root`. */
export interface OpenedFrame {
  readonly frame: Frame
  readonly lines: readonly string[]
  readonly root: Buffer
}

/**
 * Opens a frame.
 *
 * @throws UnreadableError if the bytes are not a frame, or the body does not match the header.
 */
export function openFrame(bytes: Buffer): OpenedFrame {
  const { frame, text, lines } = contentOf(bytes)
  return { frame, lines, root: rootOfText(text) }
}

/**
 * The events of a frame, one in each line.
 *
 * @throws UnreadableError if the bytes are not a frame, or the body does not match the header.
 */
export function linesOf(bytes: Buffer): readonly string[] {
  return contentOf(bytes).lines
}

function contentOf(bytes: Buffer): { frame: Frame; text: Buffer; lines: readonly string[] } {
  const { frame, body, deflated, length } = layoutOf(bytes)
  const text = deflated ? inflated(body, length) : body
  if (text.length !== length) throw unreadable('its body has the wrong length')
  const lines = text.toString('latin1').split('\n')
  if (lines.length !== frame.count) throw unreadable('its number of events is wrong')
  return { frame, text, lines }
}

/** Inflates a body, and refuses bytes after its end. Inflating would skip them, so something could be hidden there. */
function inflated(body: Buffer, length: number): Buffer {
  let result: { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }
  try {
    result = inflateRawSync(body, { info: true, maxOutputLength: Math.max(1, length) }) as never
  } catch {
    throw unreadable('its body is damaged')
  }
  if (result.engine.bytesWritten !== body.length) throw unreadable('there are extra bytes after its end')
  return result.buffer
}

function unreadable(why: string): UnreadableError {
  return new UnreadableError(`an audit frame cannot be read: ${why}`)
}
