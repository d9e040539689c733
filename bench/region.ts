/**
 * Measures the decision of `regionPin`, and reading and writing with `regionalStore`, compared with a plain GET and SET
 * of the same value with the same client. Starts its own Redis servers.
 *
 * Run it with `npm run bench:region`. Exits with 1 if a ratio exceeds its target. Ratios compare the CPU time of this
 * process, and all operations take turns in the same run. Wall-clock times are printed as well.
 */
import { loadavg } from 'node:os'
import { decideRegionPin } from '../src/guards/region-pin.ts'
import { compileJurisdictions, DEFAULT_JURISDICTIONS } from '../src/jurisdiction/jurisdictions.ts'
import { compilePolicy } from '../src/policy/compile.ts'
import { parsePolicy } from '../src/policy/parse.ts'
import { startThreePlaces } from '../test/support/region.ts'
import { atMost, header, line, median, told } from './store/table.ts'

const ROUNDS = 15
const OPERATIONS = 2_000
const AT_ONCE = 16
const DECISIONS = 200_000
const FAILURES = 20
const TIMEOUT = 250

interface Cost {
  /** CPU time of this process per operation, in microseconds. */
  readonly work: number
  /** Wall-clock time per operation with 16 in flight, in microseconds. */
  readonly clock: number
}

async function costOf(count: number, operation: (index: number) => unknown): Promise<Cost> {
  const [usage, begun] = [process.cpuUsage(), performance.now()]
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await operation((next += 1))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, caller))
  const { user, system } = process.cpuUsage(usage)
  return { work: (user + system) / count, clock: ((performance.now() - begun) * 1_000) / count }
}

/** Calls without a promise, which would take longer than the operation itself. */
function costOfDecision(decide: (index: number) => unknown): number {
  const usage = process.cpuUsage()
  for (let index = 0; index < DECISIONS; index += 1) decide(index)
  const { user, system } = process.cpuUsage(usage)
  return (user + system) / DECISIONS
}

const places = await startThreePlaces()
const { store, clients, close } = await places.open({ commandTimeout: 5_000 })
const europe = store.in('europe')
const world = store.in('world')
const value = { name: 'Zoë', email: 'zoe@example.org', note: 'x'.repeat(200) }
const json = JSON.stringify(value)
const ids = Array.from({ length: 500 }, (_, index) => index)
for (const index of ids) {
  await europe.put(`europe_${index}`, value, 0)
  await world.put(`world_${index}`, value, 0)
  await clients.london.set(`plain:${index}`, json)
}
let fresh = 0

const jurisdictions = compileJurisdictions(DEFAULT_JURISDICTIONS, 'bench')
const policy = compilePolicy(parsePolicy({ appId: 'a', regionPin: { mode: 'enforce' } }))
const decisions = {
  'decision by the identifier': (index: number) =>
    decideRegionPin(policy, { here: 'london', id: `europe_${index}`, country: undefined, jurisdictions }),
  'decision by one country': () => decideRegionPin(policy, { here: 'london', country: 'DE', jurisdictions }),
  'decision by three countries': () =>
    decideRegionPin(policy, { here: 'london', country: ['US', 'FR', 'JP'], jurisdictions }),
}
const operations = {
  GET: (index: number) => clients.london.get(`plain:${index % 500}`),
  SET: (index: number) => clients.london.set(`plain:${index % 500}`, json),
  'get of a European': (index: number) => europe.get(`europe_${index % 500}`),
  'put of one in Dallas': () => world.put(`world_new${(fresh += 1)}`, value, 0),
  'put of a European': () => europe.put(`europe_new${(fresh += 1)}`, value, 0),
}

const work = new Map<string, number[]>()
const clock = new Map<string, number[]>()
const note = (costs: Map<string, number[]>, name: string, cost: number): void =>
  void costs.set(name, [...(costs.get(name) ?? []), cost])
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, operation] of Object.entries(operations)) {
    const cost = await costOf(OPERATIONS, operation)
    note(work, name, cost.work)
    note(clock, name, cost.clock)
  }
  for (const [name, decide] of Object.entries(decisions)) note(work, name, costOfDecision(decide))
}
close()
await places.stop()

const failing = await startThreePlaces(['--appendonly', 'yes'])

/**
 * The times of the first write after London became unreachable, in milliseconds, each with a new store that does not
 * know it yet.
 */
async function firstWrites(go: () => Promise<unknown>, comeBack: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  for (let time = 0; time < FAILURES; time += 1) {
    const opened = await failing.open({ commandTimeout: TIMEOUT, checkEvery: 60_000 })
    const people = opened.store.in('europe')
    const id = `europe_f${time}.${taken.length}.${(fresh += 1)}` as const
    await people.put(id, value, 0)
    await go()
    const begun = performance.now()
    await people.put(id, value, 1)
    taken.push(performance.now() - begun)
    await comeBack()
    opened.close()
    await caughtUp()
  }
  return taken
}

/** Waits until London has received the records that it missed. */
async function caughtUp(): Promise<void> {
  const opened = await failing.open({ commandTimeout: 5_000, checkEvery: 50 })
  do await opened.store.in('europe').get('europe_0')
  while (
    opened.store
      .status()
      .some(({ jurisdiction, condition }) => jurisdiction === 'europe' && condition !== 'current')
  )
  opened.close()
}

const { london } = failing.servers
const killed = await firstWrites(
  () => london.kill(),
  () => london.restart(),
)
const frozen = await firstWrites(
  async () => failing.relays.london.freeze(),
  async () => failing.relays.london.thaw(),
)
await failing.stop()

const usual = (name: string): number => median(work.get(name) ?? [])
const ratio = (name: string, yardstick: string, most: number, digits: number) =>
  atMost(`${name}, relative to a plain ${yardstick}`, usual(name) / usual(yardstick), most, '', digits)
const rows = [
  ...[...work.keys()].map((name) => {
    const times = clock.get(name)
    const beside = times === undefined ? '' : `, ${median(times).toFixed(0)} us of wall-clock time`
    return told(name, `${usual(name).toFixed(2)} us of CPU time${beside}`)
  }),
  told(
    'first write after London was killed',
    `${median(killed).toFixed(1)} ms, worst ${Math.max(...killed).toFixed(1)} ms`,
  ),
  told(
    'first write after London was paused',
    `${median(frozen).toFixed(1)} ms, worst ${Math.max(...frozen).toFixed(1)} ms`,
  ),
  atMost('the same, relative to `commandTimeout`', median(frozen) / TIMEOUT, 2, '', 2),
  ratio('decision by the identifier', 'GET', 0.1, 3),
  ratio('decision by one country', 'GET', 0.1, 3),
  ratio('decision by three countries', 'GET', 0.1, 3),
  ratio('get of a European', 'GET', 3, 2),
  ratio('put of one in Dallas', 'SET', 4, 2),
  ratio('put of a European', 'SET', 8, 2),
]
console.log(
  `Node ${process.version}, load ${loadavg()
    .map((average) => average.toFixed(1))
    .join(' ')}`,
)
console.log(header)
for (const row of rows) console.log(line(row))
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
