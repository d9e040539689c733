import { lastOf } from './frame.ts'
import type { FrameToStore } from './frame-store.ts'

/** About how much memory a frame takes besides its bytes: its objects, its links, and the pseudonyms of its people. */
const OVERHEAD = 1_024

const sizeOf = ({ bytes }: FrameToStore): number => bytes.length + OVERHEAD

/** The newest frames of a writer, in memory. */
export class FrameWindow {
  #frames: FrameToStore[] = []
  /** The index of the oldest frame. Those before it are forgotten. */
  #oldest = 0
  #bytes = 0

  /** About how much memory its frames take. */
  get bytes(): number {
    return this.#bytes
  }

  push(frame: FrameToStore): void {
    this.#frames.push(frame)
    this.#bytes += sizeOf(frame)
  }

  /** Consecutive frames that start with this event, up to a number of bytes; none if that frame is not here. */
  from(number: number, maxBytes: number): readonly FrameToStore[] {
    const begin = this.#indexOf(number)
    if (this.#frames[begin]?.first !== number) return []
    let bytes = 0
    let end = begin
    while (end < this.#frames.length && (bytes < maxBytes || end === begin)) {
      bytes += this.#frames[end]?.bytes.length ?? 0
      end += 1
    }
    return this.#frames.slice(begin, end)
  }

  /** The first event after a number that is still here, if any. */
  firstFrom(number: number): number | undefined {
    return this.#frames[this.#indexOf(number)]?.first
  }

  /** Forgets frames up to an event, but only as many as exceed a number of bytes. */
  forget(upTo: number, maxBytes = 0): void {
    while (this.#oldest < this.#frames.length && this.#bytes > maxBytes) {
      const frame = this.#frames[this.#oldest] as FrameToStore
      if (lastOf(frame) > upTo) break
      this.#bytes -= sizeOf(frame)
      this.#oldest += 1
    }
    // The rest is copied when an eighth is forgotten. Copying it each time would take longer than making a frame.
    if (this.#oldest * 8 <= this.#frames.length) return
    this.#frames = this.#frames.slice(this.#oldest)
    this.#oldest = 0
  }

  /** The index of the first frame that begins at this event or after it. */
  #indexOf(number: number): number {
    let [low, high] = [this.#oldest, this.#frames.length]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((this.#frames[middle]?.first ?? 0) >= number) high = middle
      else low = middle + 1
    }
    return low
  }
}
