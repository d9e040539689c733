import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { rewriteRedis } from 'portcullis/redis'
import { FAULTS } from '../../support/region-proof/faults.ts'
import { compiled } from '../../support/compiled.ts'
import { searchHeap } from '../../support/region-proof/heap.ts'
import { randomKills, runMoves } from '../../support/region-proof/moves.ts'
import { runWorkload, shortOutages, type RunReport } from '../../support/region-proof/run.ts'
import { formsIn, formsOf } from '../../support/region-proof/traces.ts'
import { startWatchedWorld, type WatchedWorld } from '../../support/region-proof/world.ts'
import { seededRandom } from '../../support/seeded.ts'

// The short form of `npm run proof:region`, which plants every fault and runs under load.

let world: WatchedWorld
beforeAll(async () => {
  world = await startWatchedWorld()
})
afterAll(() => world.stop())

async function report(operations: number, fault?: (typeof FAULTS)[number]): Promise<RunReport> {
  const opened = await world.places.open({ commandTimeout: 150, checkEvery: 100 })
  try {
    return await runWorkload(world, opened, {
      operations,
      callers: 8,
      random: seededRandom(1),
      fault,
      chaos: shortOutages(world),
    })
  } finally {
    opened.close()
  }
}

describe('people of all countries, while London, Frankfurt or both are unreachable', () => {
  it('leave no data of a European in Dallas, lose no acknowledged write, and have one home each', async () => {
    const { hits, searched, lost, homeless, inLondon, done } = await report(800)
    expect(hits).toEqual({ wire: [], monitor: [], 'files of Redis': [], 'log of the application': [] })
    expect([lost, homeless]).toEqual([[], []])
    expect(done.refused).toBeGreaterThan(0)
    expect(searched.wire).toBeGreaterThan(10_000)
    expect(inLondon).toBeGreaterThan(0)
  })

  const sample = FAULTS.filter((_, index) => index % 6 === 0)
  it.each(sample)('are detected in Dallas if $name', async (fault) => {
    const { hits } = await report(300, fault)
    expect(Object.values(hits).flat()).not.toEqual([])
  })

  it('are tested with at least 25 different faults', () => {
    expect(FAULTS.length).toBeGreaterThanOrEqual(25)
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length)
  })
})

describe('a person who has moved to Europe', () => {
  it('is in the files of Dallas only until they are rewritten', async () => {
    const opened = await world.places.open()
    const mark = 'c0ffee0badf00d5afe'
    await opened.store.in('world').put(`world_${mark}`, { name: mark }, 0)
    const id = await opened.store.move(`world_${mark}`, 'europe')
    const forms = formsOf(`{"name":"${mark}"}`)
    const before = await world.search('dallas', forms)
    expect(before['files of Redis'].hits).not.toEqual([])
    await rewriteRedis(opened.clients.dallas)
    const after = await world.search('dallas', forms)
    expect(after['files of Redis'].hits).toEqual([])
    expect((await opened.store.in('europe').get(id))?.value).toEqual({ name: mark })
    opened.close()
  })
})

describe('people who are moved to Europe while locations are killed', () => {
  it('have one home at every instant, arrive unchanged, and leave nothing in Dallas', async () => {
    const people = 40
    let strikes = 0
    const report = await runMoves(world, {
      people,
      together: 4,
      callers: 2,
      ending: 0.05,
      random: seededRandom(1),
      chaos: randomKills(world, { random: seededRandom(2), away: 200, pause: 3_000 }, () => (strikes += 1)),
      open: (options) => world.places.open({ commandTimeout: 150, checkEvery: 100, ...options }),
    })
    expect(report.problems).toEqual([])
    expect(report.arrived).toBe(people)
    expect(report.before).not.toEqual([])
    expect(report.after).toEqual([])
    expect(strikes).toBeGreaterThan(0)
    expect(report.resumed).toBeGreaterThan(0)
    expect(report.looks - report.undecided).toBeGreaterThan(people)
  })
})

describe('the heap of an application that serves only Dallas', () => {
  const search = (careless: boolean) => {
    const program = compiled('test/support/region-proof/dallas-process.ts')
    return searchHeap(program, { port: world.places.servers.dallas.port, requests: 20, careless })
  }

  it('contains nothing of the Europeans in its requests', async () => {
    const { refused, served, bytes, europeans, others } = await search(false)
    expect([refused, served]).toEqual([40, 40])
    expect(bytes).toBeGreaterThan(1_000_000)
    expect(others).not.toEqual([])
    expect(europeans).toEqual([])
  })

  it('is searched with a search that finds what a careless application remembers', async () => {
    const { europeans } = await search(true)
    expect(europeans).not.toEqual([])
  })
})

describe('the search', () => {
  const text = 'Zoë+0a1b2c3d/é'
  const ways: [what: string, written: (value: string) => string][] = [
    ['as it is', (value) => `x${value}y`],
    ['as JSON with escapes', (value) => `"${value.replaceAll('ë', '\\u00eb').replaceAll('é', '\\u00e9')}"`],
    ['in hexadecimal', (value) => Buffer.from(`{"n":"${value}"}`).toString('hex')],
    ['in capitals of hexadecimal', (value) => Buffer.from(value).toString('hex').toUpperCase()],
    ['from the end', (value) => [...`a ${value} b`].toReversed().join('')],
    ['in a URL', (value) => `/?q=${encodeURIComponent(value)}`],
    ...[0, 1, 2, 3].flatMap((length): [string, (value: string) => string][] => [
      [
        `in base64 behind ${length} bytes`,
        (value) => Buffer.from(`${'-'.repeat(length)}${value} and more`).toString('base64'),
      ],
      [
        `in base64url behind ${length} bytes`,
        (value) => Buffer.from(`${'-'.repeat(length)}${value}`).toString('base64url'),
      ],
    ]),
  ]
  it.each(ways)('finds a value %s', (_what, written) => {
    expect(formsIn(Buffer.from(written(text)), formsOf(text))).not.toEqual([])
    expect(formsIn(Buffer.from(written('Zoë+ffffffff/é')), formsOf(text))).toEqual([])
  })
})
