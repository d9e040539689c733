/**
 * Sends generated requests through single guards and through `protect()`, and compares decisions, status, headers, body
 * and events. Run it with `npm run proof:differential`. If it finds a difference, it prints it and exits with 1.
 *
 * --requests N   the number of requests to each side; default 1,000,000
 * --seed N       the seed of the generator; default 1. The same seed generates the same requests
 * --from N       the part to start with; default 0. A part has 10,000 requests, so an interrupted run can be continued
 * --express 4|5  the version of Express; default 5
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

/** Adds the counts of a part to the totals. */
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
        `part ${part}: ${report.differences.length} differences. To repeat: --seed ${seed} --from ${part}`,
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
