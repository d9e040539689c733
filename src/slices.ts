import { setImmediate as turn } from 'node:timers/promises'

/** Long work in slices, between which the process does what else is due. */
export interface Slices {
  /** Whether the slice has taken its time. To be asked between pieces of work that take a fraction of it. */
  readonly over: boolean
  /** Waits for a turn of the event loop, and begins the next slice. */
  next(): Promise<void>
}

/** How long to work before the event loop has a turn, in milliseconds. */
const SLICE = 1

export function createSlices(): Slices {
  let end = performance.now() + SLICE
  return {
    get over() {
      return performance.now() >= end
    },
    async next() {
      await turn()
      end = performance.now() + SLICE
    },
  }
}
