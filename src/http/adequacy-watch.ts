import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import { warnOfSetup } from '../setup-warning.ts'

/** How long ahead it is told that a location may not be used for ever, in milliseconds: 180 days. */
const AHEAD = 180 * 24 * 60 * 60 * 1_000

/** The clock is asked at so many requests: what is told months ahead may be told some requests later. */
const REQUESTS = 100

/**
 * Warns ahead of the day on which data may no longer lie in a location, and from that day on. It changes no answer: what becomes of
 * the location is for a person to decide.
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
      // Nothing is decided by this clock.
      return
    }
    if (time >= firstEnd) warnOfSetup('PORTCULLIS_ADEQUACY_ENDED')
    else if (time >= firstEnd - AHEAD) warnOfSetup('PORTCULLIS_ADEQUACY_ENDS')
  }
}
