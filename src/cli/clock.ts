import { fail, pass, skip, warn, type Finding } from './checks.ts'
import { clockDifference, type Answer } from './exchange.ts'

/** Up to this difference, the clocks agree; in seconds. */
const CLOSE = 5
/** A larger difference is a failure; in seconds. Signatures are valid for minutes, by default 300 s. */
const FAR = 60

const FIX = 'synchronise the clocks (chrony, systemd-timesyncd, w32time)'

/** The finding about the difference between the clocks of this machine and a server. */
export function judgeClock(answer: Answer): Finding {
  const difference = clockDifference(answer)
  if (difference === undefined) return skip('the answer has no `Date` header, or comes from a cache')
  const apart = `the clock of this machine is ${Math.abs(difference)} s ${difference > 0 ? 'behind' : 'ahead of'} that of the server`
  if (Math.abs(difference) <= CLOSE) return pass('the clocks agree')
  if (Math.abs(difference) <= FAR) return warn(apart, FIX, 'docs/troubleshooting.md')
  return fail(`${apart}: signatures may be refused as expired`, FIX, 'docs/troubleshooting.md')
}
