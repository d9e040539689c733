import { setImmediate as turn } from 'node:timers/promises'
import { createIpSetBuilder, type IpSet } from '../../src/match/ip-set.ts'
import { processorTime } from './contest.ts'
import { Lines, texts, type Kind } from './population.ts'

export interface Loaded {
  /** Processor time from the first text until the set answers. */
  readonly milliseconds: number
  /** The longest time without a turn of the event loop. */
  readonly pause: number
  /** The same on the wall, which on a shared machine counts others' turns. */
  readonly pauseOnWall: number
  readonly bytes: number
}

const TEXTS_OF_A_STEP = 256
/** How long to work before a turn of the event loop, in milliseconds. */
const SLICE = 2

/** Loads ranges as a server does that goes on answering: a slice of the work, then a turn of the event loop. */
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
    // The processor time is that of all threads, some of which do not stop this one.
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
