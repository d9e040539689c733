import { setImmediate as turn } from 'node:timers/promises'
import { createIpSetBuilder, type IpSet } from '../../src/match/ip-set.ts'
import { processorTime } from './contest.ts'
import { Lines, texts, type Kind } from './population.ts'

export interface Loaded {
  /** The CPU time from the first text until the set is built. */
  readonly milliseconds: number
  /** The longest time for which the event loop was blocked, in CPU time. */
  readonly pause: number
  /** The same in wall-clock time, which on a shared machine includes other processes. */
  readonly pauseOnWall: number
  readonly bytes: number
}

const TEXTS_OF_A_STEP = 256
/** The length of a slice of work before a turn of the event loop, in milliseconds. */
const SLICE = 2

/** Builds sets in slices, with a turn of the event loop after each, like a server that keeps answering. */
export async function load(kind: Kind, size: number, rounds: number): Promise<readonly Loaded[]> {
  const lines = new Lines(texts(kind, size), size)
  const loads: Loaded[] = []
  for (let round = 0; round < rounds; round += 1) {
    globalThis.gc?.()
    loads.push(await loadOnce(lines))
  }
  return loads
}

async function loadOnce(lines: Lines): Promise<Loaded> {
  let pause = 0
  let pauseOnWall = 0
  let set: IpSet | undefined
  const builder = createIpSetBuilder()
  const begun = processorTime()
  const steps = work()
  for (let done = false; !done; await turn()) {
    const time = processorTime()
    const wall = performance.now()
    while (!done && performance.now() - wall < SLICE) done = steps.next().done === true
    const onWall = performance.now() - wall
    pauseOnWall = Math.max(pauseOnWall, onWall)
    // The CPU time includes other threads, some of which do not block this one.
    pause = Math.max(pause, Math.min(onWall, processorTime() - time))
  }
  return { milliseconds: processorTime() - begun, pause, pauseOnWall, bytes: set?.bytes ?? 0 }

  function* work(): Generator<void> {
    for (let index = 0; index < lines.length; index += 1) {
      if (index % TEXTS_OF_A_STEP === 0) yield
      builder.add(lines.cut(index))
    }
    set = yield* builder.finish()
  }
}
