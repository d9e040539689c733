import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { UnavailableError } from '../../../src/errors.ts'
import { regionalStore, regions, RevisionConflict, type RegionalStore } from '../../../src/region/index.ts'
import { bucketOf } from '../../../src/region/buckets.ts'
import { Location } from '../../../src/region/location.ts'
import { Place } from '../../../src/region/place.ts'
import { copyOwed, sweep } from '../../../src/region/repair.ts'
import { Settling } from '../../../src/region/settling.ts'
import { createKeyspace } from '../../../src/redis/keyspace.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import { eachOrder, Schedule } from '../../support/region-schedule.ts'
import { SEED } from '../../support/seeded.ts'

type Id = `europe_${string}`
type Europe = {
  readonly europe: { readonly locations: readonly ['london', 'frankfurt']; readonly countries: '*' }
}

interface Value {
  /** The writers, each of which replaced the revision that it had read. */
  readonly by: readonly string[]
}

interface Outcome {
  readonly id: Id
  readonly order: number
  readonly acknowledged: readonly string[]
  readonly conflicts: readonly string[]
}

const ORDERS = 400
const NAMES = ['london', 'frankfurt'] as const
const schedule = new Schedule()
const stores = new Map<string, RegionalStore<Europe>>()
let servers: Record<(typeof NAMES)[number], RedisServer>
let clients: Record<(typeof NAMES)[number], Redis>
let number = 0

beforeAll(async () => {
  servers = { london: await startRedis(), frankfurt: await startRedis() }
  clients = { london: new Redis(servers.london.port), frankfurt: new Redis(servers.frankfurt.port) }
  open('setup', ['london', 'frankfurt'])
  await warm('setup')
  open('London first', ['london', 'frankfurt'])
  open('Frankfurt first', ['frankfurt', 'london'])
  open('without London', ['london', 'frankfurt'], 'london')
  open('without Frankfurt', ['london', 'frankfurt'], 'frankfurt')
  for (const name of stores.keys()) await warm(name)
})
afterAll(async () => {
  for (const store of stores.values()) store.close()
  for (const name of NAMES) {
    clients[name].disconnect()
    await servers[name].stop()
  }
})

/** A process that uses the locations in this order. */
function open(name: string, order: readonly string[], away?: string): void {
  const made = regionalStore({
    regions: regions({ jurisdictions: { europe: { locations: order, countries: '*' } } } as never),
    clients: Object.fromEntries(
      NAMES.map((place) => [place, schedule.client(name, place, clients[place], place === away)]),
    ),
    commandTimeout: 60_000,
    checkEvery: 60_000,
  })
  stores.set(name, made as unknown as RegionalStore<Europe>)
}

/** Waits until a process knows its locations, and its first sweep has ended. */
async function warm(name: string): Promise<void> {
  await stores.get(name)?.in('europe').get('europe_0')
  await schedule.quiet()
}

function places(actor: string): readonly [london: Place, frankfurt: Place] {
  const made = NAMES.map((name) => {
    const redis = schedule.client(actor, name, clients[name])
    const others = NAMES.filter((other) => other !== name)
    const place = new Place(
      new Location(redis, { name, jurisdiction: 'europe', others, keys: createKeyspace(), timeout: 60_000 }),
      redis,
      () => {},
    )
    place.condition = 'current'
    return place
  })
  return made as unknown as readonly [Place, Place]
}

/** Writes over the revision that the actor has read, or over `revision`. */
function writer(
  store: string,
  name: string,
  told: { acknowledged: string[]; conflicts: string[] },
  revision?: number,
) {
  return (id: Id) => async (): Promise<void> => {
    const handle = stores.get(store)!.in('europe')
    try {
      const found = revision === undefined ? await handle.get<Value>(id) : undefined
      const by = [...(found?.value.by ?? ['setup']), name]
      await handle.put<Value>(id, { by }, revision ?? found?.revision ?? 0)
      told.acknowledged.push(name)
    } catch (error) {
      if (error instanceof RevisionConflict) told.conflicts.push(name)
    }
  }
}

function copier(from: 0 | 1) {
  return (id: Id) => async (): Promise<void> => {
    const both = places('copier')
    await copyOwed(both[from], both[from === 0 ? 1 : 0], bucketOf(id), new Settling())
  }
}

type Acts = Readonly<
  Record<string, (told: Pick<Told, 'acknowledged' | 'conflicts'>) => (id: Id) => () => Promise<void>>
>
type Told = { acknowledged: string[]; conflicts: string[] }

const reversed: Acts = {
  'London first': (told) => writer('London first', 'a', told, 1),
  'Frankfurt first': (told) => writer('Frankfurt first', 'b', told, 1),
}
const lost: Acts = {
  'London first': (told) => writer('London first', 'a', told, 1),
  'without London': (told) => writer('without London', 'b', told, 1),
}
const third: Acts = { setup: (told) => writer('setup', 'c', told) }
const thirdAlone: Acts = { 'without London': (told) => writer('without London', 'd', told) }
const copiers: Acts = { 'copier out of London': () => copier(0), 'copier out of Frankfurt': () => copier(1) }

const scenes: [what: string, acts: Acts, ends?: string][] = [
  ['two writers', reversed],
  ['two writers and repairs', { ...reversed, ...copiers }],
  ['two writers and one that builds on what it reads', { ...reversed, ...third }],
  ['two writers, one that builds on what it reads, and repairs', { ...reversed, ...third, ...copiers }],
  ['two writers, of which one does not reach London', lost],
  ['two writers, of which one does not reach London, and repairs', { ...lost, ...copiers }],
  [
    'two writers, of which one does not reach London, and one that builds on what it reads',
    { ...lost, ...third },
  ],
  ['the same and repairs', { ...lost, ...third, ...copiers }],
  ['a writer that is killed and two others', { ...reversed, ...third }, 'London first'],
  ['a writer that is killed and one that does not reach London', { ...lost, ...third }, 'London first'],
  [
    'a writer that is killed, others and repairs',
    { ...reversed, ...thirdAlone, ...copiers },
    'Frankfurt first',
  ],
]

describe('a write whose answer is lost', () => {
  it('is not reported as a conflict by the other location, which may have it already', async () => {
    const id: Id = `europe_r${(number += 1)}`
    const others = stores.get('setup')!.in('europe')
    const revision = await others.put<Value>(id, { by: ['setup'] }, 0)
    // London makes the write and copies it to Frankfurt, and somebody builds on it. Then the connection is lost.
    const call = async (...command: (string | number)[]): Promise<unknown> => {
      const answer = await clients.london.call(...(command as [string]))
      if (!command.some((part) => String(part).includes('"lost"'))) return answer
      await copier(0)(id)()
      const made = await others.get<Value>(id)
      await others.put<Value>(id, { by: [...(made?.value.by ?? []), 'later'] }, made?.revision ?? 0)
      throw new Error('the connection is lost')
    }
    const london = Object.assign(Object.create(clients.london) as Redis, { call })
    const store = regionalStore({
      regions: regions({ jurisdictions: { europe: { locations: NAMES, countries: '*' } } } as never),
      clients: { london, frankfurt: clients.frankfurt },
      commandTimeout: 60_000,
      checkEvery: 60_000,
    }) as unknown as RegionalStore<Europe>
    try {
      const handle = store.in('europe')
      await handle.get(id)
      const writing = handle.put<Value>(id, { by: ['setup', 'lost'] }, revision)
      await expect(writing).rejects.toBeInstanceOf(UnavailableError)
      expect((await handle.get<Value>(id))?.value.by).toEqual(['setup', 'lost', 'later'])
    } finally {
      store.close()
    }
  })
})

describe('in every order in which the servers can receive the commands', () => {
  it.each(scenes.map(([what, acts, ends]) => ({ what, acts, ends })))(
    'of $what: acknowledged writes remain, refused ones do not',
    async ({ acts, ends }) => {
      const outcomes: Outcome[] = []
      let order = 0
      for (const choose of eachOrder(ORDERS, SEED)) {
        const id: Id = `europe_r${(number += 1)}`
        await stores
          .get('setup')!
          .in('europe')
          .put<Value>(id, { by: ['setup'] }, 0)
        const told: Told = { acknowledged: [], conflicts: [] }
        const running = Object.fromEntries(Object.entries(acts).map(([name, act]) => [name, act(told)(id)]))
        const end = ends === undefined ? undefined : { actor: ends, after: order % 6, isSent: order % 12 < 6 }
        await schedule.run(running, choose, end)
        outcomes.push({ id, order, ...told })
        order += 1
      }
      await sweep(places('copier'), new Settling())
      const problems: unknown[] = []
      for (const outcome of outcomes) {
        const [london, frankfurt] = places('copier')
        const [one, other] = [
          await london.location.read(outcome.id),
          await frankfurt.location.read(outcome.id),
        ]
        const { by } = JSON.parse(one?.value ?? '{}') as Value
        const isRight =
          one?.value === other?.value &&
          one?.revision === other?.revision &&
          outcome.acknowledged.every((name) => by.includes(name)) &&
          !outcome.conflicts.some((name) => by.includes(name))
        if (!isRight) problems.push({ ...outcome, by, other: other?.value })
      }
      expect({ seed: SEED, problems: problems.slice(0, 5), count: problems.length }).toEqual({
        seed: SEED,
        problems: [],
        count: 0,
      })
      expect(outcomes.some(({ acknowledged }) => acknowledged.length > 0)).toBe(true)
      expect(outcomes.length).toBeGreaterThan(10)
    },
  )
})
