import { openSync, readSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'
import { percentile } from '../store/table.ts'

/** How long the event loop of a process was blocked, in milliseconds. */
export interface Pauses {
  /** In wall-clock time, which on a shared machine includes the time of other processes. */
  readonly longest: number
  readonly p99: number
  /** In CPU time of the main thread. On systems other than Linux, the same as `longest`. */
  readonly longestWork: number
  /** How often it was blocked for more than 5 ms. */
  readonly overFive: number
  /** The longest garbage collection, in wall-clock time. */
  readonly longestCollection: number
}

const INTERVAL = 1

/** Measures every millisecond how late the timer fires. */
export function watchPauses(): { begin(): void; end(): Pauses } {
  const worked = processorTime()
  let gaps: { wall: number; work: number }[] = []
  let collection = 0
  let timer: NodeJS.Timeout | undefined
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collection = Math.max(collection, duration)
  }).observe({ entryTypes: ['gc'] })
  return {
    begin() {
      gaps = []
      collection = 0
      let [at, workedAt] = [performance.now(), worked()]
      timer = setInterval(() => {
        const [now, workedNow] = [performance.now(), worked()]
        gaps.push({ wall: Math.max(0, now - at - INTERVAL), work: workedNow - workedAt })
        ;[at, workedAt] = [now, workedNow]
      }, INTERVAL)
    },
    end() {
      clearInterval(timer)
      const [wall, work] = [gaps.map((gap) => gap.wall), gaps.map((gap) => gap.work)]
      return {
        longest: percentile(wall, 1),
        p99: percentile(wall, 0.99),
        longestWork: percentile(work, 1),
        overFive: work.filter((time) => time > 5).length,
        longestCollection: collection,
      }
    },
  }
}

/** The CPU time of the main thread in milliseconds, or wall-clock time if the system does not provide it. */
function processorTime(): () => number {
  let file: number
  try {
    file = openSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'r')
  } catch {
    return () => performance.now()
  }
  const bytes = Buffer.alloc(128)
  return () => {
    const length = readSync(file, bytes, 0, bytes.length, 0)
    return Number(bytes.toString('latin1', 0, length).split(' ')[0]) / 1e6
  }
}
