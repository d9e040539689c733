import { checkOptions, wholeNumber } from '../../options.ts'
import { warnOfSetup } from '../../setup-warning.ts'
import type { LogStart } from './log-start.ts'
import type { FrameStore, StoredFrame } from './frame-store.ts'

export interface MemoryFramesOptions {
  /** How many bytes of frames are kept; the oldest are dropped. Default 64 MiB. */
  readonly maxBytes?: number | undefined
}

/** A frame store that counts the frames it has dropped. */
export interface MemoryFrames extends FrameStore {
  /** How many frames were dropped because there was no more room. */
  readonly dropped: number
}

/**
 * Keeps frames in the memory of this process: the same frames, chain and index as in Redis, for one process. With the spool of
 * `auditLog` they also survive the process. A warning at the start says that other processes do not see these frames.
 *
 * @throws ConfigError
 */
export function memoryFrames(options: MemoryFramesOptions = {}): MemoryFrames {
  const { maxBytes = 64 * 1_048_576 } = checkOptions<MemoryFramesOptions>('memoryFrames', options, {
    maxBytes: wholeNumber('bytes', 1_024),
  })
  warnOfSetup('PORTCULLIS_AUDIT_IN_MEMORY')
  const heads = new Map<string, number>()
  const people = new Map<string, string[]>()
  let frames: StoredFrame[] = []
  let size = 0
  let next = 1
  let dropped = 0
  let begin: LogStart | undefined

  /** Forgets the oldest frames and their entries in the index. */
  function removeFirst(count: number): void {
    const last = frames[count - 1]?.place
    if (last === undefined) return
    for (const { bytes } of frames.slice(0, count)) size -= bytes.length
    frames = frames.slice(count)
    for (const [person, places] of people) {
      const rest = places.filter((place) => place > last)
      if (rest.length === 0) people.delete(person)
      else if (rest.length < places.length) people.set(person, rest)
    }
  }

  return {
    settlesAfter: 0,
    get dropped() {
      return dropped
    },
    async append(given, overGap = false) {
      const writer = given[0]?.writer ?? ''
      for (const frame of given) {
        const head = heads.get(writer) ?? 0
        if (frame.first > head + 1 && !overGap) break
        if (frame.first <= head) continue
        // Padded, so that places sort like numbers.
        const place = String(next++).padStart(16, '0')
        frames.push({ place, bytes: frame.bytes })
        size += frame.bytes.length
        heads.set(writer, frame.first + frame.count - 1)
        for (const person of frame.people) {
          const places = people.get(person)
          if (places === undefined) people.set(person, [place])
          else places.push(place)
        }
      }
      const excess = countBeyond(frames, size, maxBytes)
      // Forgets a quarter more than necessary, so that the cost per frame stays low.
      if (excess > 0) {
        const leave = Math.min(frames.length - 1, excess + Math.ceil(frames.length / 4))
        dropped += leave
        removeFirst(leave)
      }
      return heads.get(writer) ?? 0
    },
    head: async (writer) => heads.get(writer) ?? 0,
    async read(after, count) {
      const from = after === undefined ? 0 : firstBehind(frames, after)
      return frames.slice(from, from + count)
    },
    async readBack(before, count) {
      const end = before === undefined ? frames.length : firstFrom(frames, before)
      return frames.slice(Math.max(0, end - count), end).reverse()
    },
    last: async () => frames.at(-1)?.place,
    async readPerson(pseudonym, after, count) {
      const places = new Set(people.get(pseudonym) ?? [])
      const from = after === undefined ? 0 : firstBehind(frames, after)
      return frames
        .slice(from)
        .filter(({ place }) => places.has(place))
        .slice(0, count)
    },
    async forgetPerson(pseudonym) {
      people.delete(pseudonym)
    },
    start: async () => begin,
    async removeStart(start) {
      begin = start
      removeFirst(firstBehind(frames, start.place))
    },
  }
}

/** The index of the first frame at or after a place. */
function firstFrom(frames: readonly StoredFrame[], place: string): number {
  const behind = firstBehind(frames, place)
  return frames[behind - 1]?.place === place ? behind - 1 : behind
}

/** The index of the first frame after a place. */
function firstBehind(frames: readonly StoredFrame[], place: string): number {
  let [low, high] = [0, frames.length]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((frames[middle]?.place ?? '') > place) high = middle
    else low = middle + 1
  }
  return low
}

/** How many of the oldest frames exceed the limit in bytes. The newest frame always stays. */
function countBeyond(frames: readonly StoredFrame[], size: number, maxBytes: number): number {
  let excess = 0
  for (let left = size; left > maxBytes && excess < frames.length - 1; excess += 1) {
    left -= frames[excess]?.bytes.length ?? 0
  }
  return excess
}
