import { linesOf, type Frame } from './frame.ts'
import type { LogStart } from './log-start.ts'
import { peopleOfLines } from './people-of-lines.ts'

/** A frame with its place in a store. */
export interface StoredFrame {
  /** Places sort in the order of the store. */
  readonly place: string
  readonly bytes: Buffer
}

/** A frame to store, with the data that the index of the store needs. */
export interface FrameToStore extends Frame {
  /** The pseudonyms of the people in its events, each once. */
  readonly people: readonly string[]
}

/** A store of frames. */
export interface FrameStore {
  /**
   * Appends consecutive frames of one writer. A frame that is already stored is not stored again, and no frame is stored after a
   * gap, so repeating a call is always safe. With `overGap`, frames are stored after a gap too: the frames before are lost for
   * good, and a verifier will report it.
   *
   * Resolves with the head: the number of the last stored event of this writer. A head below the number before the first frame
   * means that the store lacks earlier frames.
   */
  append(frames: readonly FrameToStore[], overGap?: boolean): Promise<number>
  /** The number of the last stored event of a writer, or 0. */
  head(writer: string): Promise<number>
  /** The frames after a place, oldest first; without a place, from the beginning. Fewer than `count` means the end. */
  read(after: string | undefined, count: number): Promise<readonly StoredFrame[]>
  /**
   * The frames before a place, newest first; without a place, from the newest. Fewer than `count` means the beginning. A store
   * without this method does not support recent events.
   */
  readBack?(before: string | undefined, count: number): Promise<readonly StoredFrame[]>
  /** The place of the newest frame, if there is one. */
  last(): Promise<string | undefined>
  /** The frames that contain a person, oldest first. */
  readPerson(pseudonym: string, after: string | undefined, count: number): Promise<readonly StoredFrame[]>
  /** Removes a person from the index. */
  forgetPerson(pseudonym: string): Promise<void>
  /** Where the log begins, if older frames were removed. */
  start(): Promise<LogStart | undefined>
  /** Stores `start`, then removes the frames before it and their entries in the index. */
  removeStart(start: LogStart): Promise<void>
  /** How long the store may lose acknowledged frames if it fails, in milliseconds. */
  readonly settlesAfter: number
}

/** A frame with the people in it. */
export function toStore(frame: Frame, lines: readonly string[] = linesOf(frame.bytes)): FrameToStore {
  return { ...frame, people: peopleOfLines(lines) }
}
