/**
 * The delay and CPU time that the gate adds to responses, which it holds until their events are stored. Run with
 * `npm run bench:gate`; exits with 1 if a target is missed.
 *
 * Real servers and bare Express receive the same bytes in turn: 500 requests a second on many connections. Each target is a ratio to
 * the time of bare Express in the same run.
 *
 * --seconds N   length of each round; default 6
 * --rounds N    number of rounds; default 7
 * --only NAME   only variants whose name contains NAME
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { startRedis } from '../test/support/redis.ts'
import { build, REDIS_URL } from './chain/build.ts'
import type { Subject } from './chain/client.ts'
import { warm, withPair } from './chain/contest.ts'
import { nodeVersion } from './chain/node-versions.ts'
import { requests } from './chain/traffic.ts'
import { gateVariants, type Variant } from './chain/variants.ts'
import { atMost, header, line, median, percentile, told, type Row } from './store/table.ts'

const RATE = 500
const WARM_UP = 10_000
/** The variant that goal A3 is about. */
const JUDGED = 'audit log, mode spool'
/** The most that it may add, relative to bare Express: to the median, to the 99th percentile, and to CPU time. */
const MOST = { median: 2, slowest: 3, cpu: 1 }

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '7' },
    only: { type: 'string', default: '' },
  },
})
const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)]

interface Round {
  readonly median: number
  readonly slowest: number
  /** Milliseconds of CPU time per request. */
  readonly cpu: number
}

async function roundOf(
  subject: Subject,
  load: readonly Buffer[],
  expects: Variant['expects'],
): Promise<Round> {
  const before = await subject.ask('cpu')
  const times = await subject.sendAtRate(load, RATE, expects)
  const cpu = ((await subject.ask('cpu')) - before) / 1000 / load.length
  return { median: median(times), slowest: percentile(times, 0.99), cpu }
}

async function rowsOf(variant: Variant, redisUrl: string): Promise<Row[]> {
  const node = await nodeVersion(Number(process.versions.node.split('.')[0]), () => undefined)
  return withPair(variant, { node, env: { [REDIS_URL]: redisUrl } }, async (pair) => {
    await warm(pair, WARM_UP)
    const [bases, held]: [Round[], Round[]] = [[], []]
    for (let round = 0; round < rounds; round += 1) {
      const load = await requests(variant.kind, RATE * seconds)
      const ofBase = async (): Promise<unknown> => bases.push(await roundOf(pair.base, load, { status: 200 }))
      const ofHeld = async (): Promise<unknown> =>
        held.push(await roundOf(pair.subject, load, variant.expects))
      for (const turn of round % 2 === 0 ? [ofBase, ofHeld] : [ofHeld, ofBase]) await turn()
    }
    const [base, all] = [middle(bases), middle(held)]
    const shown = (name: keyof Round): string => `${base[name].toFixed(3)} → ${all[name].toFixed(3)} ms`
    const added = (name: keyof Round): number => (all[name] - base[name]) / base[name]
    const rows = [
      told(`${variant.name}: median`, shown('median')),
      told('  99th percentile', shown('slowest')),
      told('  CPU time of the server per request', shown('cpu')),
    ]
    if (variant.name !== JUDGED) return rows
    const text = (what: string): string => `  added, relative to bare Express: ${what}`
    return [
      ...rows,
      atMost(text('median'), added('median'), MOST.median, '', 2),
      atMost(text('99th percentile'), added('slowest'), MOST.slowest, '', 2),
      atMost(text('CPU time'), added('cpu'), MOST.cpu, '', 2),
    ]
  })
}

const middle = (all: readonly Round[]): Round => ({
  median: median(all.map((round) => round.median)),
  slowest: median(all.map((round) => round.slowest)),
  cpu: median(all.map(({ cpu }) => cpu)),
})

await build()
const load = loadavg().map((average) => average.toFixed(1))
console.log(`Node ${process.version}, load average before: ${load.join(', ')}`)
console.log(`\n${header}`)
const redis = await startRedis({})
const rows: Row[] = []
try {
  for (const variant of gateVariants.filter(({ name }) => name.includes(values.only))) {
    const measured = await rowsOf(variant, redis.url)
    for (const row of measured) console.log(line(row))
    rows.push(...measured)
  }
} finally {
  await redis.stop()
}
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
