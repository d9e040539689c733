import { linesOf, type Frame } from './frame.ts'
import type { LogStart } from './log-start.ts'
import { peopleOfLines } from './people-of-lines.ts'

/** A frame with its place in a store. */
export interface StoredFrame {
  /** Sorts as the order of the store; in Redis the id of the stream entry. */
  readonly place: string
  readonly bytes: Buffer
}

/** A frame that is to be stored, with what the index of the store needs. */
export interface FrameToStore extends Frame {
  /** The pseudonyms of the people in its events, each once. */
  readonly people: readonly string[]
}

/** Where frames are kept. */
export interface FrameStore {
  /**
   * Appends frames of one writer that follow each other. A frame that is there already is not stored again, and none is
   * stored behind a gap, so that sending again is always right. `overGap` stores them behind a gap too: the frames before
   * them are lost for good, which a verifier shall find.
   *
   * Resolves with the head: the number of the last event of this writer that is stored. A head below the number before the
   * first frame means that the store lacks earlier frames.
   */
  append(frames: readonly FrameToStore[], overGap?: boolean): Promise<number>
  /** The number of the last event of a writer that is stored, or 0. */
  head(writer: string): Promise<number>
  /** The frames behind a place, the oldest first; from the beginning without one. Fewer than `count` means the end. */
  read(after: string | undefined, count: number): Promise<readonly StoredFrame[]>
  /**
   * The frames before a place, the newest first; from the newest without one. Fewer than `count` means the beginning. A store
   * without it cannot be asked for recent events.
   */
  readBack?(before: string | undefined, count: number): Promise<readonly StoredFrame[]>
  /** The place of the newest frame, if there is one. */
  last(): Promise<string | undefined>
  /** The frames in which a person occurs, the oldest first. */
  readPerson(pseudonym: string, after: string | undefined, count: number): Promise<readonly StoredFrame[]>
  /** Removes what the index says of a person. */
  forgetPerson(pseudonym: string): Promise<void>
  /** Where the log begins, when older frames were removed. */
  start(): Promise<LogStart | undefined>
  /** Removes the frames of a beginning, and what the index says of them; remembers the beginning first. */
  removeStart(start: LogStart): Promise<void>
  /** For how many milliseconds a frame that was acknowledged can still be lost when the store itself fails. */
  readonly settlesAfter: number
}

/** A frame with the people that occur in it. */
export function toStore(frame: Frame, lines: readonly string[] = linesOf(frame.bytes)): FrameToStore {
  return { ...frame, people: peopleOfLines(lines) }
}
