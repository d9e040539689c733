/**
 * Measures the Redis store and the policy source: how soon a change takes effect in other processes, the cost of a
 * million stored apps, and requests for cold and unknown apps. Starts its own Redis.
 *
 * Run it with `npm run bench:store`; `-- --apps 100000` stores fewer apps, `-- --only change,scale` runs only these
 * parts (of change, scale, weight, cold, unknown). Exits with 1 if a target is missed. Takes about four minutes.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { startRedis } from '../test/support/redis.ts'
import { follow, measureChange } from './store/change.ts'
import { measureCold } from './store/cold.ts'
import { inChild, type Measurement } from './store/child.ts'
import { populate } from './store/population.ts'
import { measureScale } from './store/scale.ts'
import { header, line, type Row } from './store/table.ts'
import { measureUnknown } from './store/unknown.ts'
import { measureWeight } from './store/weight.ts'

const FEW = 10
/** The limits for --apps: more than are hot or cold at a time, and at most as many as there are ids of this length. */
const LEAST_APPS = 30_000
const MOST_APPS = 10_000_000

/** Each part runs in its own process, so that no part is affected by what another has left in memory. */
const measurements: Readonly<Record<string, Measurement>> = {
  scale: measureScale,
  weight: measureWeight,
  cold: measureCold,
  unknown: measureUnknown,
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { apps: { type: 'string' }, only: { type: 'string' } } })
  const apps = Number(values.apps ?? 1_000_000)
  if (!Number.isInteger(apps) || apps < LEAST_APPS || apps > MOST_APPS)
    throw new Error(`--apps must be a number from ${LEAST_APPS} to ${MOST_APPS}`)
  const only = values.only?.split(',')
  const wanted = (part: string): boolean => only === undefined || only.includes(part)
  const load = loadavg().map((average) => average.toFixed(1))
  console.log(`Node ${process.version}, load average before: ${load.join(', ')}`)
  console.log(header)
  const begun = performance.now()
  let good = true
  const print = (rows: readonly Row[]): void => {
    for (const row of rows) {
      console.log(line(row))
      good &&= row.ok !== false
    }
  }
  const redis = await startRedis()
  try {
    if (wanted('change')) {
      print(await measureChange(redis.url, 1))
      print(await measureChange(redis.url, 20))
    }
    if (wanted('scale') || wanted('cold')) {
      await populate(redis.url, 'few:', FEW)
      print(await populate(redis.url, 'many:', apps))
    }
    for (const name of Object.keys(measurements).filter(wanted)) {
      print(await inChild(name, redis.url, apps))
    }
  } finally {
    await redis.stop()
  }
  console.log(`${((performance.now() - begun) / 1000).toFixed(0)} s`)
  return good
}

const [role, url = '', ...rest] = process.argv.slice(2)
if (role === undefined || role.startsWith('--')) process.exitCode = (await main()) ? 0 : 1
else if (role === 'follow') await follow(url, ...rest)
else process.send?.(await measurements[role]?.(url, Number(rest[0])), () => process.disconnect())
