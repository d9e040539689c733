/**
 * How much later a response leaves because the gate holds it until the events behind it are kept, and what that costs. Run with
 * `npm run bench:gate`; ends with 1 when a target is missed.
 *
 * Real servers, each beside bare Express with the same bytes in turn, 500 requests a second on many connections. A target is a ratio
 * to what bare Express takes in the same run.
 *
 * --seconds N   of each round; default 6
 * --rounds N    default 7
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
/** Of the variant that A3 is about: the median of what is added, the slowest in a hundred, and processor time. */
const JUDGED = 'audit log, mode spool'
const MOST = { median: 2, slowest: 3, cpu: 1 }

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '6' }, rounds: { type: 'string', default: '7' } },
})
const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)]

interface Round {
  readonly median: number
  readonly slowest: number
  /** Milliseconds of CPU for each request. */
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
      told('  slowest in a hundred', shown('slowest')),
      told('  CPU of the server for each request', shown('cpu')),
    ]
    if (variant.name !== JUDGED) return rows
    const text = (what: string): string => `  added to bare Express, as a share of it: ${what}`
    return [
      ...rows,
      atMost(text('median'), added('median'), MOST.median, '', 2),
      atMost(text('slowest in a hundred'), added('slowest'), MOST.slowest, '', 2),
      atMost(text('CPU'), added('cpu'), MOST.cpu, '', 2),
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
console.log(`Node ${process.version}, load of the machine before: ${load.join(', ')}`)
console.log(`\n${header}`)
const redis = await startRedis({})
const rows: Row[] = []
try {
  for (const variant of gateVariants) {
    const measured = await rowsOf(variant, redis.url)
    for (const row of measured) console.log(line(row))
    rows.push(...measured)
  }
} finally {
  await redis.stop()
}
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
