import { ftruncateSync, writeSync } from 'node:fs'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { UnavailableError } from '../../errors.ts'
import { lastOf, readFrame } from '../log/frame.ts'
import { toStore, type FrameToStore } from '../log/frame-store.ts'
import { segmentPath, spoolFailure, syncDirectory, writeAll } from './files.ts'
import { takeLock, type Lock } from './lock.ts'
import { encodeRecord, scanRecords, type SpoolRecord } from './record.ts'

export interface SpoolSettings {
  readonly directory: string
  readonly writer: string
  readonly maxBytes: number
  readonly segmentBytes: number
  /** Whether appended data must survive a power failure. */
  readonly sync: boolean
}

/** One file of a spool. */
interface Segment {
  readonly path: string
  readonly file: FileHandle
  /** The number of the last event in it; 0 if there is none. */
  last: number
  /** Where its last whole record ends. */
  size: number
  /** Nothing more is appended to it, because the disk failed. */
  closed: boolean
}

/** Where to find the frames from a certain event on. */
interface Cursor {
  readonly number: number
  readonly segment: Segment
  readonly offset: number
}

/** The local copy of what one writer has written and the store may not have yet, in append-only files. */
export class Spool {
  readonly #settings: SpoolSettings
  readonly #lock: Lock
  readonly #segments: Segment[] = []
  #nextSegment = 1
  #cursor: Cursor | undefined
  /** Runs one operation at a time, so that no file is removed while it is written or read. */
  #turn: Promise<unknown> = Promise.resolve()
  /** How many operations run or wait. */
  #operations = 0

  private constructor(settings: SpoolSettings, lock: Lock) {
    this.#settings = settings
    this.#lock = lock
  }

  /** @throws UnavailableError (as a rejection) if the directory cannot be used. */
  static async open(settings: SpoolSettings): Promise<Spool> {
    const { directory, writer } = settings
    let lock: Lock | undefined
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      lock = await takeLock(join(directory, `${writer}.lock`))
    } catch (error) {
      throw spoolFailure(error)
    }
    if (lock === undefined) throw new UnavailableError('another process uses this spool')
    return new Spool(settings, lock)
  }

  /** The size of all its files, in bytes. */
  get bytes(): number {
    return this.#segments.reduce((sum, { size }) => sum + size, 0)
  }

  /** Appends frames that follow those before. If it fails, none of them is stored. */
  async append(frames: readonly FrameToStore[]): Promise<void> {
    await this.#append(recordsOf(frames), lastOf(frames.at(-1) as FrameToStore))
  }

  /**
   * Like `append`, but before it returns. Returns false, and changes nothing, if that is not possible: another operation is
   * running, a new file is needed, the spool is full, the write must reach the disk, or it failed. Then use `append`.
   */
  appendNow(frames: readonly FrameToStore[]): boolean {
    const segment = this.#segments.at(-1)
    if (this.#operations > 0 || segment === undefined || segment.closed || this.#settings.sync) return false
    const bytes = recordsOf(frames)
    const { maxBytes, segmentBytes } = this.#settings
    if (segment.size + bytes.length > segmentBytes || this.bytes + bytes.length > maxBytes) return false
    const { fd } = segment.file
    try {
      for (let written = 0; written < bytes.length;) {
        written += writeSync(fd, bytes, written, bytes.length - written, segment.size + written)
      }
    } catch {
      try {
        ftruncateSync(fd, segment.size)
      } catch {
        segment.closed = true
      }
      return false
    }
    segment.size += bytes.length
    segment.last = lastOf(frames.at(-1) as FrameToStore)
    return true
  }

  /** Appends the sealed secret of a person, before the first frame that needs it. */
  async appendSecret(content: Buffer): Promise<void> {
    await this.#append(encodeRecord('secret', content), 0)
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act)
    this.#operations += 1
    const over = (): void => void (this.#operations -= 1)
    this.#turn = done.then(over, over)
    return done
  }

  #append(bytes: Buffer, last: number): Promise<void> {
    return this.#inTurn(() => this.#appendInTurn(bytes, last))
  }

  async #appendInTurn(bytes: Buffer, last: number): Promise<void> {
    if (this.bytes + bytes.length > this.#settings.maxBytes) {
      throw new UnavailableError(
        `the audit spool is full: it has reached ${this.#settings.maxBytes} bytes (\`spool.maxBytes\`), which the store has not accepted yet`,
      )
    }
    const segment = await this.#segmentFor(bytes.length)
    let written = false
    try {
      await writeAll(segment.file, bytes, segment.size)
      written = true
      if (this.#settings.sync) await segment.file.datasync()
    } catch (error) {
      // After a failed sync, the content on disk is unknown. A partial write is cut off.
      segment.closed = written
      await segment.file.truncate(segment.size).catch(() => (segment.closed = true))
      throw spoolFailure(error)
    }
    segment.size += bytes.length
    segment.last = Math.max(segment.last, last)
  }

  async #segmentFor(length: number): Promise<Segment> {
    const current = this.#segments.at(-1)
    const { directory, writer, segmentBytes, sync } = this.#settings
    const fits = current !== undefined && (current.size === 0 || current.size + length <= segmentBytes)
    if (fits && !current.closed) return current
    const path = segmentPath(directory, writer, this.#nextSegment)
    try {
      const file = await open(path, 'wx+', 0o600)
      this.#nextSegment += 1
      const segment: Segment = { path, file, last: 0, size: 0, closed: true }
      this.#segments.push(segment)
      if (sync) await syncDirectory(directory)
      segment.closed = false
      return segment
    } catch (error) {
      throw spoolFailure(error)
    }
  }

  /** Frames from the one with this event on, some at a time; none if they are not in the spool. */
  read(number: number, maxBytes: number): Promise<readonly FrameToStore[]> {
    return this.#inTurn(() => this.#readNow(number, maxBytes))
  }

  async #readNow(number: number, maxBytes: number): Promise<readonly FrameToStore[]> {
    let cursor = this.#cursor?.number === number ? this.#cursor : this.#find(number)
    const frames: FrameToStore[] = []
    while (cursor !== undefined && frames.length === 0) {
      const { segment, offset } = cursor
      const want = Math.min(maxBytes, segment.size - offset)
      const records = await recordsAt(segment, offset, want)
      for (const { kind, content } of records) {
        const frame = kind === 'frame' ? readFrame(content) : undefined
        // The cursor may be at the beginning of a file, so earlier records are skipped.
        if (frame === undefined || lastOf(frame) < number) continue
        if (frames.length === 0 && frame.first > number) return []
        frames.push(toStore(frame))
      }
      const end: number = records.at(-1)?.end ?? segment.size
      const next: Segment | undefined =
        end < segment.size ? segment : this.#segments[this.#segments.indexOf(segment) + 1]
      const last = frames.at(-1)
      cursor =
        next === undefined
          ? undefined
          : {
              number: last === undefined ? number : lastOf(last) + 1,
              segment: next,
              offset: next === segment ? end : 0,
            }
    }
    this.#cursor = cursor
    return frames
  }

  #find(number: number): Cursor | undefined {
    const segment = this.#segments.find(({ last }) => last >= number)
    return segment === undefined ? undefined : { number, segment, offset: 0 }
  }

  /**
   * All events up to this number are safe in the store: files with only such events are removed, and the last one is emptied.
   * Returns `undefined` if there are none.
   */
  settle(number: number): Promise<void> | undefined {
    // An empty file may be followed by others, if the disk failed when it was to be written.
    const first = this.#segments.find(({ size }) => size > 0)
    if (first === undefined || first.last > number) return undefined
    return this.#inTurn(() => this.#settleNow(number))
  }

  async #settleNow(number: number): Promise<void> {
    while (this.#segments.length > 1 && (this.#segments[0] as Segment).last <= number) {
      await this.#remove(this.#segments.shift() as Segment)
    }
    const rest = this.#segments[0]
    if (this.#segments.length > 1 || rest === undefined || rest.size === 0 || rest.last > number) return
    // Kept, so that the next events need not wait for a new file.
    if (!rest.closed && (await this.#empty(rest))) return
    this.#segments.shift()
    await this.#remove(rest)
  }

  async #empty(segment: Segment): Promise<boolean> {
    if (this.#cursor?.segment === segment) this.#cursor = undefined
    try {
      await segment.file.truncate(0)
    } catch {
      return false
    }
    segment.size = 0
    segment.last = 0
    return true
  }

  async #remove(segment: Segment): Promise<void> {
    if (this.#cursor?.segment === segment) this.#cursor = undefined
    await segment.file.close().catch(() => undefined)
    await rm(segment.path, { force: true })
  }

  /** Closes its files, and removes an empty one. The content of the others stays, for a process that replays it. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const segment of this.#segments) {
        if (segment.size === 0) await this.#remove(segment).catch(() => undefined)
        else await segment.file.close().catch(() => undefined)
      }
      await this.#lock.release()
    })
  }
}

function recordsOf(frames: readonly FrameToStore[]): Buffer {
  const [only] = frames
  if (frames.length === 1 && only !== undefined) return encodeRecord('frame', only.bytes)
  return Buffer.concat(frames.map(({ bytes }) => encodeRecord('frame', bytes)))
}

/** The whole records from an offset on; at least one if there is one. */
async function recordsAt(segment: Segment, offset: number, length: number): Promise<readonly SpoolRecord[]> {
  for (let want = length; ; want *= 2) {
    const size = Math.min(want, segment.size - offset)
    const bytes = Buffer.allocUnsafe(size)
    const { bytesRead } = await segment.file.read(bytes, 0, size, offset)
    const whole = offset + bytesRead >= segment.size
    const { records } = scanRecords(bytes.subarray(0, bytesRead), offset, whole)
    if (records.length > 0 || whole || bytesRead === 0) return records
  }
}
