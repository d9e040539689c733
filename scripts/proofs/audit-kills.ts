/**
 * Kills an audited server and its Redis at random moments under load, truncates the append-only file and fills the disk
 * of the spool. Then checks that every delivered answer is in the log exactly once.
 *
 * `npm run proof:audit-kills -- --kills 1000 --state /tmp/kills.json` takes about half an hour. An interrupted run
 * continues where it stopped. `--beside 4` runs four rounds in parallel. `--mode redis` runs without a spool. Exits
 * with 1 if an event is missing or duplicated, or if the log does not verify.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { KillRound, NO_TOTALS, type Totals } from '../../test/support/audit-kills.ts'

const KILLS_A_ROUND = 25

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    state: { type: 'string' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'spool' },
    beside: { type: 'string', default: '1' },
  },
})

function read(): Totals & { rounds: number } {
  const empty = { ...NO_TOTALS, rounds: 0 }
  return values.state !== undefined && existsSync(values.state)
    ? { ...empty, ...(JSON.parse(readFileSync(values.state, 'utf8')) as object) }
    : empty
}

const wanted = Number(values.kills)
const mode = values.mode === 'redis' ? 'redis' : 'spool'
const totals = read()
/** The number of strikes that are done or in progress. */
let taken = totals.kills
let rounds = totals.rounds

async function strike(): Promise<void> {
  while (taken < wanted) {
    const strikes = Math.min(KILLS_A_ROUND, wanted - taken)
    taken += strikes
    const round = new KillRound({ seed: Number(values.seed) + rounds++, mode, settlesAfter: 5_000 })
    const found = await round.run(strikes)
    for (const problem of round.problems) console.log(JSON.stringify(problem))
    for (const name of Object.keys(NO_TOTALS) as (keyof Totals)[]) totals[name] += found[name]
    totals.rounds += 1
    if (values.state !== undefined) writeFileSync(values.state, JSON.stringify(totals))
    console.log(JSON.stringify(totals))
  }
}

await Promise.all(Array.from({ length: Number(values.beside) }, strike))
console.log(
  `${totals.kills} strikes (${totals.processes} processes, ${totals.servers} servers, ${totals.cuts} cut files, ${totals.fulls} full disks): ` +
    `${totals.delivered} answers delivered, ${totals.refused} refused, ${totals.unaudited} unaudited, ${totals.doubled} doubled, ${totals.problems} problems of the chain`,
)
process.exitCode = totals.unaudited + totals.doubled + totals.problems === 0 && totals.delivered > 0 ? 0 : 1
