import { fail, pass, skip, warn, type Finding } from './checks.ts'
import { clockDifference, type Answer } from './exchange.ts'

/** So far apart clocks do no harm, in seconds. */
const CLOSE = 5
/** A signature is judged with a margin of some minutes, by default 300 s. */
const FAR = 60

const FIX = 'synchronise the clocks (chrony, systemd-timesyncd, w32time)'

/** What the clocks of this machine and of a server say about signatures. */
export function judgeClock(answer: Answer): Finding {
  const difference = clockDifference(answer)
  if (difference === undefined) return skip('the answer has no `Date` header, or comes from a cache')
  const apart = `the clock of this machine is ${Math.abs(difference)} s ${difference > 0 ? 'behind' : 'ahead of'} that of the server`
  if (Math.abs(difference) <= CLOSE) return pass('the clocks agree')
  if (Math.abs(difference) <= FAR) return warn(apart, FIX, 'docs/troubleshooting.md')
  return fail(`${apart}: signatures may be refused as expired`, FIX, 'docs/troubleshooting.md')
}
