import { warnOfSetup } from '../setup-warning.ts'
import type { SendCommand } from './client.ts'

/** By how much the clocks may differ before it is told, in milliseconds: signatures are judged by a window of minutes. */
const MOST = 10_000

/**
 * Compares the clock of this process with that of Redis, and warns where they are far apart. Asked once, beside the first
 * claim and not ahead of it. Where Redis does not answer, nothing is told: the claim tells it. Never rejects.
 */
export async function compareClocks(send: SendCommand, now: () => number): Promise<void> {
  try {
    const before = now()
    const answer: unknown = await send('TIME')
    const after = now()
    const theirs = Array.isArray(answer) ? Number(answer[0]) * 1000 : Number.NaN
    // It was that time at some moment between, and a whole second is as exact as it gets.
    if (theirs < before - MOST || theirs > after + MOST) warnOfSetup('PORTCULLIS_CLOCK_DIFFERS')
  } catch {
    // An ACL may refuse TIME.
  }
}
