/**
 * Stops the Redis of an audited server under load for ten minutes. No request may be refused, the backlog must be
 * stored at least ten times as fast as it arrived, and the memory of the process may grow by at most 100 MB beyond its
 * maximum in a minute of the same load before the outage.
 *
 * Run it with `npm run proof:audit-outage -- --minutes 10 --rate 1000`. With `--how paused`, Redis keeps its
 * connections but does not answer. Exits with 1 if a promise is not kept.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { outage } from '../../test/support/audit-outage.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '1000' },
    how: { type: 'string', default: 'killed' },
  },
})
const MOST_GROWTH = 100_000_000
const LEAST_SPEED = 10

const seen = await outage({
  away: Number(values.minutes) * 60_000,
  rate: Number(values.rate),
  how: values.how === 'paused' ? 'paused' : 'killed',
})
const speed = seen.away / seen.catchUp
const load = loadavg().map((each) => each.toFixed(1))
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
console.log(`Node ${process.version}, load of the machine: ${load.join(', ')}`)
console.log(
  `Redis ${values.how} for ${(seen.away / 1_000).toFixed(0)} s, ${values.rate} requests per second intended`,
)
console.log(`${seen.delivered} answers delivered, ${seen.refused} refused, ${seen.unaudited} unaudited`)
for (const [why, count] of Object.entries(seen.refusals)) console.log(`refused with ${why}: ${count}`)
console.log(
  `${seen.backlog} events waited, stored in ${(seen.catchUp / 1_000).toFixed(1)} s (${speed.toFixed(0)} times as fast as they arrived)`,
)
console.log(`spool ${mb(seen.spool)}, memory grew by ${mb(seen.growth)}`)
console.log(`${seen.doubled} doubled, ${seen.problems.length} problems of the chain`)
for (const problem of seen.problems) console.log(JSON.stringify(problem))
const isKept =
  seen.refused + seen.unaudited + seen.doubled + seen.problems.length === 0 &&
  seen.delivered > 0 &&
  seen.backlog > 0 &&
  speed >= LEAST_SPEED &&
  seen.growth <= MOST_GROWTH
process.exitCode = isKept ? 0 : 1
