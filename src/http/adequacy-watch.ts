import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import { warnOfSetup } from '../setup-warning.ts'

/** How early the warning appears, in milliseconds: 180 days. */
const AHEAD = 180 * 24 * 60 * 60 * 1_000

/** The clock is read once in this many requests, because the date of the warning need not be exact. */
const REQUESTS = 100

/**
 * Warns before the day on which the adequacy decision of a location ends, and again from that day on. It changes no response: a
 * person decides what happens to the location.
 */
export function adequacyWatch({ firstEnd }: CompiledJurisdictions, now: () => number): () => void {
  if (firstEnd === undefined) return () => undefined
  let left = 0
  return () => {
    left -= 1
    if (left > 0) return
    left = REQUESTS
    let time: number
    try {
      time = now()
    } catch {
      // No decision depends on this clock.
      return
    }
    if (time >= firstEnd) warnOfSetup('PORTCULLIS_ADEQUACY_ENDED')
    else if (time >= firstEnd - AHEAD) warnOfSetup('PORTCULLIS_ADEQUACY_ENDS')
  }
}
