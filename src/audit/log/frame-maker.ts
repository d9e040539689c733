import type { KeyObject } from 'node:crypto'
import type { AuditEvent } from '../event.ts'
import { serialiseEvent } from '../line.ts'
import { makeFrame, NO_LINK } from './frame.ts'
import type { FrameToStore } from './frame-store.ts'
import { addPeopleOf } from './people-of-lines.ts'

/** How many events a frame has at most. */
const FRAME_EVENTS = 256
/**
 * How long all events of a frame are at most, in characters, unless a single one is longer. The people of such a frame fit into
 * one command of a store.
 */
const FRAME_LENGTH = 98_304

/** Puts the events of one writer into frames, in order, each chained to the previous one. */
export class FrameMaker {
  readonly writer: string
  readonly #key: KeyObject | undefined
  #lines: string[] = []
  /** The events of the lines. */
  #events: AuditEvent[] = []
  #previous: Buffer = NO_LINK
  #framed = 0

  constructor(writer: string, key: KeyObject | undefined) {
    this.writer = writer
    this.#key = key
  }

  /** Whether some events are in no frame yet. */
  get hasRest(): boolean {
    return this.#lines.length > 0
  }

  /** The number of the last event that was added. */
  get last(): number {
    return this.#framed + this.#lines.length
  }

  /** The number of the last event that is in a frame. */
  get framed(): number {
    return this.#framed
  }

  /** Adds an event; returns its length in bytes. */
  add(event: AuditEvent): number {
    const line = serialiseEvent(event)
    this.#lines.push(line)
    this.#events.push(event)
    return line.length
  }

  /** Makes frames until no event is left. If the rest does not fill a frame and `mayWait` returns true, it stays. */
  make(mayWait: () => boolean, take: (frame: FrameToStore, bytes: number) => void): void {
    let at = 0
    while (at < this.#lines.length) {
      if (this.#lines.length - at < FRAME_EVENTS && mayWait()) break
      const lines = this.#linesFrom(at)
      at += lines.length
      const frame = makeFrame({
        writer: this.writer,
        first: this.#framed + at - lines.length + 1,
        previous: this.#previous,
        lines,
        key: this.#key,
      })
      this.#previous = frame.link
      const people = new Set<string>()
      for (const [index, line] of lines.entries()) {
        addPeopleOf(this.#events[at - lines.length + index] as AuditEvent, line, people)
      }
      take(
        { ...frame, people: [...people] },
        lines.reduce((sum, line) => sum + line.length, 0),
      )
    }
    if (at > 0) {
      this.#lines = this.#lines.slice(at)
      this.#events = this.#events.slice(at)
    }
    this.#framed += at
  }

  /** The lines of the next frame. */
  #linesFrom(begin: number): string[] {
    let [end, length] = [begin, 0]
    while (end < this.#lines.length && end - begin < FRAME_EVENTS) {
      length += this.#lines[end]?.length ?? 0
      if (length > FRAME_LENGTH && end > begin) break
      end += 1
    }
    return this.#lines.slice(begin, end)
  }
}
