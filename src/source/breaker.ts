/** Spares a store that keeps failing, and the requests that would wait for it. */
export interface Breaker {
  /** `closed`: the store is asked. `open`: it is not. `half-open`: one question is on its way to find out. */
  readonly state: 'closed' | 'open' | 'half-open'
  /** Whether the store may be asked now. A caller that is admitted must say how it went. */
  admits(): boolean
  succeeded(): void
  failed(): void
}

/** So many failures in a row open it. */
const MOST_FAILURES = 5
/** How long it stays open, in milliseconds; spread, so that processes do not return together. */
const SHORTEST_PAUSE = 500
const LONGEST_PAUSE = 1_500

export function createBreaker(now: () => number): Breaker {
  let failures = 0
  let probeAt = 0
  let probing = false
  const isClosed = (): boolean => failures < MOST_FAILURES
  return {
    get state() {
      if (isClosed()) return 'closed'
      return probing ? 'half-open' : 'open'
    },
    admits() {
      if (isClosed()) return true
      if (probing || now() < probeAt) return false
      probing = true
      return true
    },
    succeeded() {
      failures = 0
      probing = false
    },
    failed() {
      failures += 1
      probing = false
      probeAt = now() + SHORTEST_PAUSE + Math.random() * (LONGEST_PAUSE - SHORTEST_PAUSE)
    },
  }
}
