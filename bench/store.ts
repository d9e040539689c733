/**
 * What the Redis store and the policy source promise, measured: how soon a change is in force in other processes, what a
 * million stored apps cost, what cold and unknown apps do. Starts its own Redis.
 *
 * Run with `npm run bench:store`; `-- --apps 100000` stores fewer apps, `-- --only change,scale` leaves parts out (of
 * change, scale, weight, cold, unknown). Ends with 1 when a target is missed. Takes about four minutes.
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
/** More than are hot or cold at a time, and no more than ids of one length name. */
const LEAST_APPS = 30_000
const MOST_APPS = 10_000_000

/** Each runs in a process of its own, so that none is measured with what another has left in memory. */
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
    throw new Error(`--apps takes ${LEAST_APPS} to ${MOST_APPS}`)
  const only = values.only?.split(',')
  const wanted = (part: string): boolean => only === undefined || only.includes(part)
  const load = loadavg().map((average) => average.toFixed(1))
  console.log(`Node ${process.version}, load of the machine before: ${load.join(', ')}`)
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
