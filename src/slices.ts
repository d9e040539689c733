import { setImmediate as turn } from 'node:timers/promises'

/** Divides long work into slices, between which the event loop can do other work. */
export interface Slices {
  /** Whether the slice has used its time. Check it between pieces of work that take a fraction of a slice. */
  readonly over: boolean
  /** Waits for a turn of the event loop, then begins the next slice. */
  next(): Promise<void>
}

/** The length of a slice, in milliseconds. */
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
