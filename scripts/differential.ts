/**
 * Sends generated requests, a million of them, through single mounts and through `protect()`, and compares what both did: the
 * decisions, the status, the headers, the body and the events. Run with `npm run proof:differential`; ends with 1 at a
 * difference, and prints it.
 *
 * --requests N   how many requests each side gets; default 1 000 000
 * --seed N       what the requests follow from; default 1. The same seed makes the same requests
 * --from N       the first part of 10 000 requests; default 0. A run that was interrupted goes on with the part it names
 * --express 4|5  default 5
 */
import { parseArgs } from 'node:util'
import { runDifferential, type Report } from '../test/support/differential/run.ts'
import type { ExpressModule } from '../test/support/differential/side.ts'

const PART = 10_000

const { values: given } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    express: { type: 'string', default: '5' },
  },
})

/** Adds the counts of one part to those of the parts before. */
function add(total: Record<string, number>, part: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(part)) total[name] = (total[name] ?? 0) + count
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).toSorted(([, one], [, other]) => other - one)
  return entries.map(([name, count]) => `${name} ${count}`).join(', ')
}

async function main(): Promise<void> {
  const seed = Number(given.seed)
  const from = Number(given.from)
  const parts = Math.ceil(Number(given.requests) / PART)
  const { default: express } = (await import(given.express === '4' ? 'express4' : 'express')) as {
    default: ExpressModule
  }
  console.log(
    `Node ${process.versions.node}, Express ${given.express}, seed ${seed}, parts ${from} to ${parts - 1}`,
  )
  const begun = performance.now()
  const total = { requests: 0, fieldEvents: 0, codes: {}, statuses: {}, rules: {} }
  for (let part = from; part < parts; part += 1) {
    const requests = Math.min(PART, Number(given.requests) - part * PART)
    const report: Report = await runDifferential({ express, seed: seed + part, requests })
    total.requests += report.requests
    total.fieldEvents += report.fieldEvents
    add(total.codes, report.codes)
    add(total.statuses, report.statuses)
    add(total.rules, report.rules)
    const seconds = ((performance.now() - begun) / 1000).toFixed(0)
    if (report.differences.length > 0) {
      console.log(report.differences.join('\n\n'))
      console.log(
        `part ${part}: ${report.differences.length} differences. Again: --seed ${seed} --from ${part}`,
      )
      process.exitCode = 1
      break
    }
    console.log(`part ${part}: no difference. ${total.requests} requests to each side in ${seconds} s`)
  }
  console.log(`${total.requests} requests to each side, ${total.fieldEvents} reads of personal fields`)
  console.log(`documented differences: ${list(total.rules)}`)
  console.log(`last decisions: ${list(total.codes)}`)
  console.log(`statuses: ${list(total.statuses)}`)
}

await main()
