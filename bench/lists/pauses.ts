import { openSync, readSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'
import { percentile } from '../store/table.ts'

/** How long the event loop of a process made what was due wait, in milliseconds. */
export interface Pauses {
  /** By the clock. */
  readonly longest: number
  readonly p99: number
  /** Less the time in which the thread could have run and had no processor: what the process itself has done. */
  readonly longestOwn: number
  /** How often that was over 5 ms. */
  readonly overFive: number
  /** The longest collection of garbage among them. */
  readonly longestCollection: number
}

const INTERVAL = 1

/** Looks each millisecond how late it is. */
export function watchPauses(): { begin(): void; end(): Pauses } {
  const waited = processorWaits()
  let gaps: { wall: number; own: number }[] = []
  let collection = 0
  let timer: NodeJS.Timeout | undefined
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collection = Math.max(collection, duration)
  }).observe({ entryTypes: ['gc'] })
  return {
    begin() {
      gaps = []
      collection = 0
      let [at, waitedUntil] = [performance.now(), waited()]
      timer = setInterval(() => {
        const [now, waitedNow] = [performance.now(), waited()]
        const wall = Math.max(0, now - at - INTERVAL)
        gaps.push({ wall, own: Math.max(0, wall - (waitedNow - waitedUntil)) })
        ;[at, waitedUntil] = [now, waitedNow]
      }, INTERVAL)
    },
    end() {
      clearInterval(timer)
      const [wall, own] = [gaps.map((gap) => gap.wall), gaps.map((gap) => gap.own)]
      return {
        longest: percentile(wall, 1),
        p99: percentile(wall, 0.99),
        longestOwn: percentile(own, 1),
        overFive: own.filter((gap) => gap > 5).length,
        longestCollection: collection,
      }
    },
  }
}

/** For how long the main thread was ready to run and had no processor, in milliseconds; always 0 where it is not told. */
function processorWaits(): () => number {
  let file: number
  try {
    file = openSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'r')
  } catch {
    return () => 0
  }
  const bytes = Buffer.alloc(128)
  return () => {
    const length = readSync(file, bytes, 0, bytes.length, 0)
    return Number(bytes.latin1Slice(0, length).split(' ')[1]) / 1e6
  }
}
