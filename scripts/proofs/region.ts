/**
 * Four parts, each of which exits with 1 if anything is wrong:
 *
 * - load: stores people of all countries in three real Redis servers under load, while locations are killed, paused,
 *   frozen and cut off. Then searches everything that Dallas received for data of Europeans: network traffic, MONITOR,
 *   the append-only file, the snapshot, the logs of Redis and of the application; in plain, escaped, hexadecimal,
 *   reversed, URL and base64 form (three offsets).
 * - faults: plants routing faults, one at a time. Each must be detected.
 * - moves: moves people from Dallas to Europe while locations are killed. At every instant exactly one home must serve
 *   each of them, and in the end none of their data may remain in Dallas.
 * - heap: sends requests for Europeans to an application that serves only Dallas, and searches its heap.
 *
 * --operations N  of the part load; default 100,000. --people N  of the part moves; default 1,000. --seed N  default 1.
 * --only load|faults|moves|heap  runs only this part
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { compiled } from '../../test/support/compiled.ts'
import { randomKills, runMoves } from '../../test/support/region-proof/moves.ts'
import { searchHeap } from '../../test/support/region-proof/heap.ts'
import { FAULTS } from '../../test/support/region-proof/faults.ts'
import {
  randomChaos,
  runWorkload,
  shortOutages,
  type Refusal,
  type Strike,
} from '../../test/support/region-proof/run.ts'
import { TABLE } from '../../test/support/region.ts'
import { startWatchedWorld } from '../../test/support/region-proof/world.ts'
import { seededRandom } from '../../test/support/seeded.ts'

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '100000' },
    people: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})

async function underLoad(operations: number, seed: number): Promise<boolean> {
  const world = await startWatchedWorld()
  try {
    const opened = await world.places.open({ commandTimeout: 250, checkEvery: 500 })
    const random = seededRandom(seed)
    const strikes: Strike[] = []
    const startedAt = Date.now()
    const report = await runWorkload(world, opened, {
      operations,
      callers: 32,
      random,
      chaos: randomChaos(world, seededRandom(seed + 1), (strike) => strikes.push(strike)),
    })
    const seconds = ((Date.now() - startedAt) / 1_000).toFixed(0)
    console.log(
      `${operations} operations in ${seconds} s, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}, seed ${seed}`,
    )
    console.log(`operations: ${list(report.done)}`)
    console.log(
      `strikes: ${list(counted(strikes.map(({ what, places: at }) => `${at.join(' and ')} ${what}`)))}`,
    )
    console.log(
      `refused because no location was reachable: ${list(counted(report.refusals.map((one) => circumstances(one, strikes))))}`,
    )
    console.log(`bytes searched in Dallas: ${list(report.searched)}`)
    console.log(
      `acknowledged writes lost: ${report.lost.length}; people without one home: ${report.homeless.length}`,
    )
    const hits = Object.values(report.hits).flat()
    console.log(`European in Dallas: ${hits.length}${hits.length === 0 ? '' : `: ${hits.join(', ')}`}`)
    console.log(`the same search in London: ${report.inLondon}`)
    return (
      hits.length === 0 && report.lost.length === 0 && report.homeless.length === 0 && report.inLondon > 0
    )
  } finally {
    await world.stop()
  }
}

async function withFaults(seed: number): Promise<boolean> {
  const world = await startWatchedWorld()
  let missed = 0
  try {
    for (const fault of [undefined, ...FAULTS]) {
      const opened = await world.places.open({ commandTimeout: 100, checkEvery: 100 })
      const report = await runWorkload(world, opened, {
        operations: 1_500,
        callers: 8,
        random: seededRandom(seed),
        fault,
        chaos: shortOutages(world),
      })
      opened.close()
      const witnesses = Object.entries(report.hits).flatMap(([witness, hits]) =>
        hits.length > 0 ? [witness] : [],
      )
      const isRight = witnesses.length > 0 === (fault !== undefined)
      if (!isRight) missed += 1
      console.log(
        `${isRight ? '' : 'WRONG: '}${fault?.name ?? 'no fault'}: ${witnesses.length === 0 ? 'nothing found' : `found by ${witnesses.join(', ')}`}`,
      )
    }
    console.log(`${FAULTS.length} faults, ${missed} judged wrongly`)
    return missed === 0
  } finally {
    await world.stop()
  }
}

async function moving(people: number, seed: number): Promise<boolean> {
  const world = await startWatchedWorld()
  try {
    const strikes: Strike[] = []
    const startedAt = Date.now()
    const report = await runMoves(world, {
      people,
      together: 16,
      callers: 8,
      ending: 0.02,
      random: seededRandom(seed),
      chaos: randomKills(world, { random: seededRandom(seed + 1), away: 1_000, pause: 8_000 }, (strike) =>
        strikes.push(strike),
      ),
      open: (options) => world.places.open({ commandTimeout: 250, checkEvery: 500, ...options }),
    })
    const seconds = ((Date.now() - startedAt) / 1_000).toFixed(0)
    console.log(
      `${people} people moved in ${seconds} s, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}, seed ${seed}`,
    )
    console.log(`strikes: ${list(counted(strikes.map(({ places: at }) => `${at.join(' and ')} killed`)))}`)
    console.log(
      `moves begun: ${report.begun}, resumed by another process: ${report.resumed}, reads and writes of others: ${report.load}`,
    )
    console.log(
      `looks at the homes of a person: ${report.looks}, undecided because a home was unreachable: ${report.undecided}`,
    )
    console.log(
      `people without exactly one home, at a look or in the end: ${list(counted(report.problems)) || 'nobody'}`,
    )
    console.log(`people at the new home with an unchanged record: ${report.arrived}`)
    console.log(
      `forms of their records in the files of Dallas: ${report.before.length} before the rewrite, ${report.after.length} after it`,
    )
    console.log(`identifiers of Europe seen in Dallas: ${report.newIdsInDallas.length}`)
    return (
      report.problems.length === 0 &&
      report.arrived === people &&
      report.before.length > 0 &&
      report.after.length === 0 &&
      report.newIdsInDallas.length === 0 &&
      strikes.length > 0
    )
  } finally {
    await world.stop()
  }
}

/** The number of requests for each kind of person. */
const ASKED = 2_000

async function inTheHeap(): Promise<boolean> {
  const world = await startWatchedWorld()
  try {
    const results: boolean[] = []
    for (const careless of [false, true]) {
      const { port } = world.places.servers.dallas
      const program = compiled('test/support/region-proof/dallas-process.ts')
      const report = await searchHeap(program, { port, requests: ASKED, careless })
      console.log(
        `${careless ? 'an application that remembers its requests' : 'an application of Dallas'}: ${report.refused} requests for Europeans refused, ${report.served} for others served, ${report.bytes} bytes of heap, European in it: ${report.europeans.length}, of others: ${report.others.length}`,
      )
      results.push(
        report.refused === 2 * ASKED && report.others.length > 0 && report.europeans.length > 0 === careless,
      )
    }
    return results.every(Boolean)
  } finally {
    await world.stop()
  }
}

/** How long a location may remain unused after its return, in milliseconds. */
const RETURNS_WITHIN = 5_000

/** The state of the locations when an operation was refused. */
function circumstances({ from, to, jurisdiction }: Refusal, strikes: readonly Strike[]): string {
  const struck = (place: string, after: number): boolean =>
    strikes.some(
      (strike) =>
        strike.places.some((each) => each === place) && strike.from < to && strike.to + after > from,
    )
  const { locations } = TABLE[jurisdiction]
  if (locations.every((place) => struck(place, 0))) return `all locations of ${jurisdiction} unreachable`
  if (locations.every((place) => struck(place, RETURNS_WITHIN)))
    return `one of ${jurisdiction} back for less than ${RETURNS_WITHIN / 1_000} s`
  return `UNEXPLAINED in ${jurisdiction}`
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

const seed = Number(values.seed)
const parts: Readonly<Record<string, () => Promise<boolean>>> = {
  load: () => underLoad(Number(values.operations), seed),
  faults: () => withFaults(seed),
  moves: () => moving(Number(values.people), seed),
  heap: inTheHeap,
}
const chosen = values.only === undefined ? Object.values(parts) : [parts[values.only]]
const results: boolean[] = []
for (const part of chosen) {
  if (part === undefined) throw new Error(`--only must be one of ${Object.keys(parts).join(', ')}`)
  results.push(await part())
}
process.exitCode = results.every(Boolean) ? 0 : 1
