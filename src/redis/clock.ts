import { warnOfSetup } from '../setup-warning.ts'
import type { SendCommand } from './client.ts'

/** The largest difference of the clocks without a warning, in milliseconds. Signatures are valid for minutes. */
const MOST = 10_000

/**
 * Compares the clock of this process with that of Redis, and warns if they differ too much. Called once, in parallel with the
 * first claim, so that it does not delay it. If Redis does not answer, the claim reports that. Never rejects.
 */
export async function compareClocks(send: SendCommand, now: () => number): Promise<void> {
  try {
    const before = now()
    const answer: unknown = await send('TIME')
    const after = now()
    const theirs = Array.isArray(answer) ? Number(answer[0]) * 1000 : Number.NaN
    // Redis read its clock between `before` and `after`.
    if (theirs < before - MOST || theirs > after + MOST) warnOfSetup('PORTCULLIS_CLOCK_DIFFERS')
  } catch {
    // An ACL may refuse TIME.
  }
}
