/** A circuit breaker: stops reads of a store that keeps failing, so that requests do not wait for it. */
export interface Breaker {
  /** `closed`: the store is read. `open`: it is not. `half-open`: one read tests whether it works again. */
  readonly state: 'closed' | 'open' | 'half-open'
  /** Whether the store may be read now. If so, the caller must report the result with `succeeded` or `failed`. */
  admits(): boolean
  succeeded(): void
  failed(): void
}

/** How many failures in a row open the breaker. */
const MOST_FAILURES = 5
/** How long the breaker stays open, in milliseconds; random, so that processes do not return together. */
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
