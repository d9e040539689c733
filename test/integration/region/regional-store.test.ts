import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { Redis } from 'ioredis'
import {
  regionalStore,
  regions,
  RevisionConflict,
  UnavailableError,
  UnreadableError,
  UsageError,
  type MoveEvent,
} from 'portcullis/region'
import type { RedisClient } from '../../../src/redis/client.ts'
import { createKeyspace } from '../../../src/redis/keyspace.ts'
import { bucketOf } from '../../../src/region/buckets.ts'
import { Location } from '../../../src/region/location.ts'
import { FORGET } from '../../../src/region/scripts.ts'
import { until } from '../../support/redis.ts'
import { seededRandom } from '../../support/seeded.ts'
import {
  startThreePlaces,
  TABLE,
  type Opened,
  type PlaceName,
  type ThreePlaces,
} from '../../support/region.ts'

let places: ThreePlaces
let opened: Opened

beforeAll(async () => {
  places = await startThreePlaces()
  opened = await places.open()
})
afterAll(() => places.stop())

let number = 0
const european = (): `europe_${string}` => `europe_${(number += 1)}`
const american = (): `world_${string}` => `world_${(number += 1)}`

/** The copy of an id on the server of a location. */
async function copyAt(place: PlaceName, id: string): Promise<Record<string, string> | undefined> {
  for (const key of (await places.ask(place, 'KEYS', `*:${id}`)) as string[]) {
    const flat = (await places.ask(place, 'HGETALL', key)) as string[]
    return Object.fromEntries(
      flat.flatMap((name, at) => (at % 2 === 0 ? [[name, String(flat[at + 1])]] : [])),
    )
  }
  return undefined
}

/** Whether this text is missing in all keys and values of a location. */
async function isNowhereAt(place: PlaceName, text: string): Promise<boolean> {
  const keys = (await places.ask(place, 'KEYS', '*')) as string[]
  for (const key of keys) {
    const dump = String(await places.ask(place, 'DUMP', key))
    const hash = key.includes('region:{') ? await places.ask(place, 'TYPE', key) : ''
    const fields = hash === 'hash' ? JSON.stringify(await places.ask(place, 'HGETALL', key)) : ''
    if (`${key}${dump}${fields}`.includes(text)) return false
  }
  return true
}

async function allCurrent({ store }: Opened): Promise<void> {
  await until('all locations are asked again', async () => {
    await store
      .in('europe')
      .get('europe_0')
      .catch(() => undefined)
    await store
      .in('world')
      .get('world_0')
      .catch(() => undefined)
    return store.status().every(({ condition }) => condition === 'current')
  })
}

describe('a handle', () => {
  it('stores a European in London and Frankfurt and leaves no trace in Dallas', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    expect(await europe.put(id, { name: 'Zoe Canary' }, 0)).toBe(1)
    expect(await europe.get(id)).toEqual({ id, revision: 1, value: { name: 'Zoe Canary' } })
    for (const place of ['london', 'frankfurt'] as const)
      expect((await copyAt(place, id))?.['value']).toBe('{"name":"Zoe Canary"}')
    expect(await isNowhereAt('dallas', 'Canary')).toBe(true)
    expect(await isNowhereAt('dallas', id)).toBe(true)
    expect(await isNowhereAt('london', 'Canary')).toBe(false)
  })

  it('stores everybody else only in Dallas', async () => {
    const id = american()
    await opened.store.in('world').put(id, { name: 'Texan Canary' }, 0)
    expect((await copyAt('dallas', id))?.['value']).toBe('{"name":"Texan Canary"}')
    expect(await isNowhereAt('london', id)).toBe(true)
    expect(await isNowhereAt('frankfurt', id)).toBe(true)
  })

  it('returns undefined for an unknown person', async () => {
    expect(await opened.store.in('europe').get(european())).toBeUndefined()
  })

  it('writes a record only if it replaces the revision that was read', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    await europe.put(id, { n: 1 }, 0)
    expect(await europe.put(id, { n: 2 }, 1)).toBe(2)
    for (const revision of [0, 1, 3]) {
      const refused = europe.put(id, { n: 3 }, revision)
      await expect(refused).rejects.toThrow(RevisionConflict)
      await expect(refused).rejects.toMatchObject({ expected: revision, actual: 2, appId: '' })
    }
    expect((await europe.get(id))?.value).toEqual({ n: 2 })
  })

  it('lets one of many writers of one revision win', async () => {
    const others = await Promise.all([places.open(), places.open()])
    const id = european()
    await opened.store.in('europe').put(id, { by: 'nobody' }, 0)
    const writers = [opened, ...others].flatMap(
      ({ store }) => Array(10).fill(store.in('europe')) as ReturnType<typeof store.in<'europe'>>[],
    )
    const outcomes = await Promise.allSettled(writers.map((writer, by) => writer.put(id, { by }, 1)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await copyAt('london', id)).toEqual(await copyAt('frankfurt', id))
    for (const other of others) other.close()
  })

  it('removes a record, keeps its revision, and can be written again', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    await europe.put(id, { name: 'Gone Canary' }, 0)
    await expect(europe.delete(id, 2)).rejects.toThrow(RevisionConflict)
    await europe.delete(id, 1)
    expect(await europe.get(id)).toBeUndefined()
    for (const place of ['london', 'frankfurt'] as const)
      expect(await isNowhereAt(place, 'Gone Canary')).toBe(true)
    await expect(europe.put(id, {}, 1)).rejects.toMatchObject({ expected: 1, actual: 0 })
    expect(await europe.put(id, { back: true }, 0)).toBe(3)
  })

  const wrong: [what: string, id: string][] = [
    ['of another jurisdiction', 'world_1'],
    ['without a jurisdiction', '4711'],
    ['of a jurisdiction that does not exist', 'asia_1'],
    ['that only begins like one', 'europe'],
    ['with nothing behind the name', 'europe_'],
    ['that is an e-mail address', 'europe_zoe@example.org'],
    ['with a brace', 'europe_{a}'],
  ]
  for (const [what, id] of wrong) {
    it(`refuses an id ${what}`, async () => {
      const europe = opened.store.in('europe')
      await expect(europe.get(id as never)).rejects.toThrow(UsageError)
      await expect(europe.put(id as never, {}, 0)).rejects.toThrow(UsageError)
      await expect(europe.delete(id as never, 1)).rejects.toThrow(UsageError)
    })
  }

  it('lists the people of its jurisdiction', async () => {
    opened.close()
    await places.clear()
    opened = await places.open()
    const fresh = await places.open()
    const europe = fresh.store.in('europe')
    const ids = Array.from({ length: 300 }, european)
    await Promise.all(ids.map((id) => europe.put(id, {}, 0)))
    await fresh.store.in('world').put(american(), {}, 0)
    await europe.delete(ids[0] as `europe_${string}`, 1)
    const found: string[] = []
    let next: string | undefined
    do {
      const page = await europe.list(next)
      found.push(...page.ids)
      next = page.next
    } while (next !== undefined)
    expect(found.toSorted()).toEqual(ids.slice(1).toSorted())
    fresh.close()
    await allCurrent(opened)
  })
})

describe('the identifier of a removed person', () => {
  const pair = ['london', 'frankfurt'] as const

  /** Lets the stored revision of a removed record expire, as it does after 90 days. */
  async function expire(id: string, at: readonly PlaceName[]): Promise<void> {
    for (const place of at)
      for (const key of (await places.ask(place, 'KEYS', `*:${id}`)) as string[])
        await places.ask(place, 'DEL', key)
  }

  /** The locations whose list of identifiers contains this one. */
  async function listedAt(id: string, bucket = bucketOf(id)): Promise<PlaceName[]> {
    const found: PlaceName[] = []
    for (const place of ['london', 'frankfurt', 'dallas'] as const) {
      const ids = await places.ask(place, 'SMEMBERS', createKeyspace().recordIds(bucket))
      if ((ids as string[]).includes(id)) found.push(place)
    }
    return found
  }

  async function removed(): Promise<`europe_${string}`> {
    const id = european()
    await opened.store.in('europe').put(id, {}, 0)
    await opened.store.in('europe').delete(id, 1)
    return id
  }

  async function listAll({ store }: Opened = opened): Promise<string[]> {
    const found: string[] = []
    for (let next: string | undefined = '0 0'; next !== undefined;) {
      const page = await store.in('europe').list(next)
      found.push(...page.ids)
      next = page.next
    }
    return found
  }

  it('is listed at its locations while its revision is stored, and nowhere after the next list', async () => {
    const [id, other] = [await removed(), await removed()]
    await expire(id, pair)
    expect(await listedAt(id)).toEqual(pair)
    await listAll()
    expect(await listedAt(id)).toEqual([])
    expect(await listedAt(other)).toEqual(pair)
  })

  it.each(pair)('stays at London as long as %s has its revision', async (place) => {
    const id = await removed()
    await expire(
      id,
      pair.filter((each) => each !== place),
    )
    await listAll()
    expect(await listedAt(id)).toContain('london')
    await expire(id, [place])
    await listAll()
    expect(await listedAt(id)).toEqual([])
  })

  it.each(pair)('stays everywhere while %s is unreachable, and the list is answered', async (place) => {
    const id = await removed()
    const person = european()
    await opened.store.in('europe').put(person, {}, 0)
    await expire(id, pair)
    places.relays[place].freeze()
    expect(await listAll()).toContain(person)
    expect(await listedAt(id)).toEqual(pair)
    places.relays[place].thaw()
    await allCurrent(opened)
    await listAll()
    expect(await listedAt(id)).toEqual([])
  })

  it.each(pair)(
    'stays if the person is stored again just before it would be removed at %s',
    async (place) => {
      const id = await removed()
      await expire(id, pair)
      const lister = await places.open()
      let writes = 0
      const client: RedisClient = lister.clients[place]
      const call = client.call.bind(client)
      client.call = async (name, ...args) => {
        if (args[0] === FORGET) {
          writes += 1
          await opened.store.in('europe').put(id, { back: true }, 0)
        }
        return call(name, ...args)
      }
      await listAll(lister)
      lister.close()
      expect(writes).toBe(1)
      expect(await listedAt(id)).toEqual(pair)
      expect(await listAll()).toContain(id)
      expect((await opened.store.in('europe').get(id))?.value).toEqual({ back: true })
    },
  )

  it('of a move that has ended is removed by resumeMoves', async () => {
    const id = american()
    await opened.store.in('world').put(id, {}, 0)
    const moves: string[] = []
    const mover = await places.open({ recordMove: ({ move }) => void moves.push(move) })
    await mover.store.move(id, 'europe')
    const [move = ''] = moves
    // It is not read: there may be very many of them.
    const read: string[] = []
    for (const client of Object.values<RedisClient>(mover.clients)) {
      const call = client.call.bind(client)
      client.call = async (name, ...args) => {
        if (name === 'HMGET') read.push(String(args[0]))
        return call(name, ...args)
      }
    }
    await mover.store.resumeMoves()
    expect(read).toEqual([])
    expect(await listedAt(move)).toEqual(['london', 'frankfurt', 'dallas'])
    await expire(move, ['london', 'frankfurt', 'dallas'])
    expect(await mover.store.resumeMoves()).toEqual({ ended: 0, waiting: 0 })
    expect(await listedAt(move)).toEqual([])
    mover.close()
  })
})

describe('when a location is unreachable', () => {
  beforeAll(() => allCurrent(opened))
  afterEach(async () => {
    for (const place of ['london', 'frankfurt', 'dallas'] as const) {
      places.relays[place].thaw()
      try {
        places.servers[place].resume()
      } catch {
        await places.servers[place].restart()
      }
    }
    await allCurrent(opened)
  })

  const ways: [what: string, place: 'london' | 'frankfurt'][] = [
    ['London is killed', 'london'],
    ['Frankfurt is killed', 'frankfurt'],
    ['London is paused', 'london'],
    ['Frankfurt is paused', 'frankfurt'],
    ['London is cut off', 'london'],
  ]
  for (const [what, place] of ways) {
    it(`${what}: Europeans are read and written, Dallas has no trace, and missed records are copied back`, async () => {
      const { store } = opened
      const europe = store.in('europe')
      const before = european()
      await europe.put(before, { at: 'before Canary' }, 0)
      if (what.endsWith('killed')) await places.servers[place].kill()
      else if (what.endsWith('paused')) places.servers[place].pause()
      else places.relays[place].freeze()

      const during = european()
      expect((await europe.get(before))?.value).toEqual({ at: 'before Canary' })
      await europe.put(during, { at: 'during Canary' }, 0)
      await europe.put(before, { at: 'changed Canary' }, 1)
      const removed = european()
      await europe.put(removed, {}, 0)
      await europe.delete(removed, 1)
      expect((await europe.get(during))?.value).toEqual({ at: 'during Canary' })

      if (what.endsWith('killed')) await places.servers[place].restart()
      places.servers[place].resume()
      places.relays[place].thaw()
      await allCurrent(opened)
      expect(await copyAt('london', during)).toEqual(await copyAt('frankfurt', during))
      expect(await copyAt(place, before)).toMatchObject({ value: '{"at":"changed Canary"}', revision: '2' })
      expect(await copyAt(place, removed)).toMatchObject({ state: 'gone', revision: '2' })
      expect(await isNowhereAt('dallas', 'Canary')).toBe(true)
    })
  }

  it('refuses with UnavailableError if both are unreachable, writes nothing to Dallas, and serves Dallas as before', async () => {
    const { store } = opened
    const europe = store.in('europe')
    const [id, texan] = [european(), american()]
    await europe.put(id, { name: 'Both Canary' }, 0)
    places.relays.london.freeze()
    await places.servers.frankfurt.kill()
    await expect(europe.get(id)).rejects.toThrow(UnavailableError)
    await expect(europe.put(european(), { name: 'Refused Canary' }, 0)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'no location of `europe` can be reached',
    })
    await store.in('world').put(texan, { name: 'Texan' }, 0)
    expect((await store.in('world').get(texan))?.value).toEqual({ name: 'Texan' })
    expect(await isNowhereAt('dallas', 'Canary')).toBe(true)
    await places.servers.frankfurt.restart()
    places.relays.london.thaw()
    await allCurrent(opened)
    expect((await europe.get(id))?.value).toEqual({ name: 'Both Canary' })
  })

  it('does not read from a location that lacks writes of an unreachable one', async () => {
    const { store } = opened
    const europe = store.in('europe')
    const id = european()
    await europe.put(id, { n: 1 }, 0)
    places.relays.frankfurt.freeze()
    await europe.put(id, { n: 2 }, 1)
    places.relays.london.freeze()
    places.relays.frankfurt.thaw()
    // Frankfurt answers, but its data is old.
    for (let time = 0; time < 3; time += 1) await expect(europe.get(id)).rejects.toThrow(UnavailableError)
    expect(store.status().slice(0, 2)).toMatchObject([{ condition: 'away' }, { condition: 'behind' }])
    places.relays.london.thaw()
    await allCurrent(opened)
    expect((await europe.get(id))?.value).toEqual({ n: 2 })
  })

  it('repairs it from a process that starts later', async () => {
    const writer = await places.open({ checkEvery: 60_000 })
    const late = await places.open()
    opened.store.close()
    const id = european()
    await writer.store.in('europe').put(id, { n: 1 }, 0)
    writer.clients.frankfurt.disconnect()
    await writer.store.in('europe').put(id, { n: 2 }, 1)
    writer.close()
    expect(await copyAt('frankfurt', id)).toMatchObject({ revision: '1' })
    await late.store.in('europe').get(id)
    expect(late.store.status()).toContainEqual({
      jurisdiction: 'europe',
      location: 'frankfurt',
      condition: 'behind',
    })
    await allCurrent(late)
    expect(await copyAt('frankfurt', id)).toEqual(await copyAt('london', id))
    late.close()
    opened = await places.open()
  })

  it('loses no write of another process that London has not received', async () => {
    const stale = await places.open({ checkEvery: 60_000 })
    const id = european()
    await stale.store.in('europe').put(id, { n: 1 }, 0)
    places.relays.london.freeze()
    await opened.store.in('europe').put(id, { n: 2 }, 1)
    opened.store.close()
    places.relays.london.thaw()
    // London is behind, but this process does not know it.
    await expect(stale.store.in('europe').put(id, { n: 'on an old record' }, 1)).rejects.toMatchObject({
      code: 'REVISION_CONFLICT',
      actual: 2,
    })
    expect((await stale.store.in('europe').get(id))?.value).toEqual({ n: 2 })
    stale.close()
    opened = await places.open()
    await allCurrent(opened)
    expect(await copyAt('london', id)).toEqual(await copyAt('frankfurt', id))
  })

  it('does not report a person as unknown if one location has lost all data and the other is unreachable', async () => {
    const { store } = opened
    const europe = store.in('europe')
    const id = european()
    await europe.put(id, { name: 'kept' }, 0)
    places.relays.frankfurt.freeze()
    await places.servers.london.kill() // which keeps nothing on disk
    await places.servers.london.restart()
    await until('London is reached again', async () => {
      await expect(europe.get(id)).rejects.toThrow(UnavailableError)
      return store.status()[0]?.condition === 'behind'
    })
    await expect(europe.get(id)).rejects.toThrow(UnavailableError)
    places.relays.frankfurt.thaw()
    await allCurrent(opened)
    expect((await europe.get(id))?.value).toEqual({ name: 'kept' })
  })

  it('returns to London what it lost of the last seconds, including writes decided there', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    await europe.put(id, { n: 1 }, 0)
    const [key] = (await places.ask('london', 'KEYS', `*:${id}`)) as [string]
    const before = (await places.ask('london', 'HGETALL', key)) as string[]
    await europe.put(id, { n: 2 }, 1)
    // As after `kill -9` before the end of the append-only file was written.
    await places.ask('london', 'HSET', key, ...before)
    expect(await copyAt('london', id)).toMatchObject({ revision: '1' })
    places.relays.london.cut()
    await until('the connection is gone', async () => opened.store.status()[0]?.condition !== 'current')
    await allCurrent(opened)
    expect(await copyAt('london', id)).toMatchObject({ revision: '2' })
    expect((await europe.get(id))?.value).toEqual({ n: 2 })
  })

  it('refills a location that has lost all its data before it reads from it', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    await europe.put(id, { name: 'kept' }, 0)
    // As long after the write: nothing is owed.
    for (const key of (await places.ask('frankfurt', 'KEYS', '*owed*')) as string[])
      await places.ask('frankfurt', 'DEL', key)
    await places.servers.london.kill() // which keeps nothing on disk
    await places.servers.london.restart()
    await until('London has it again', async () => {
      expect((await europe.get(id))?.value).toEqual({ name: 'kept' })
      return (await copyAt('london', id)) !== undefined
    })
  })
})

describe('writes that a process still owed when it ended', () => {
  it('are copied to the other location by the next process, at its start', async () => {
    const prefix = 'left:'
    const first = await places.open({ prefix, commandTimeout: 400 })
    const id = european()
    await first.store.in('europe').put(id, { name: 'kept' }, 0)
    first.close()
    for (const key of (await places.ask('london', 'KEYS', `${prefix}*:${id}`)) as string[])
      await places.ask('london', 'DEL', key)
    const second = await places.open({ prefix, commandTimeout: 400 })
    await second.store.in('europe').get(european())
    await until('London has it', async () => (await copyAt('london', id)) !== undefined)
    second.close()
  })
})

describe('a location that is reachable again', () => {
  it('receives what it lacks, and not what it has', async () => {
    const prefix = 'again:'
    const read: string[] = []
    const writer = await places.open({ prefix, checkEvery: 50, commandTimeout: 400 })
    const { clients, store } = writer
    const handle = store.in('europe')
    const ids = Array.from({ length: 40 }, european)
    await Promise.all(ids.map(async (id) => handle.put(id, { name: 'of both' }, 0)))
    places.relays.london.cut()
    places.relays.london.freeze()
    const missed = european()
    await handle.put(missed, { name: 'of Frankfurt' }, 0)
    const call = clients.frankfurt.call.bind(clients.frankfurt) as (...args: unknown[]) => Promise<unknown>
    Object.assign(clients.frankfurt, {
      async call(...args: unknown[]) {
        if (args[0] === 'HMGET') read.push(String(args[1]))
        return call(...args)
      },
    })
    places.relays.london.thaw()
    await allCurrent(writer)
    expect(read.filter((key) => ids.some((id) => key.endsWith(`:${id}`)))).toEqual([])
    expect(read.some((key) => key.endsWith(`:${missed}`))).toBe(true)
    expect((await store.in('europe').get(missed))?.value).toEqual({ name: 'of Frankfurt' })
    expect(await copyAt('london', missed)).toMatchObject({ value: '{"name":"of Frankfurt"}' })
    writer.close()
  })
})

describe('a repair that takes long', () => {
  it('does not block anyone: a read is refused before it has ended, and answered afterwards', async () => {
    await allCurrent(opened)
    const id = european()
    // With keys that no other store repairs.
    const prefix = 'slow:'
    const keys = createKeyspace(prefix)
    const writer = await places.open({ prefix, commandTimeout: 10_000, checkEvery: 60_000 })
    await writer.store.in('europe').put(id, { name: 'kept' }, 0)
    writer.close()
    // Each lacks something of the other. Comparing what Frankfurt owes takes twenty rounds.
    const owed = Array.from({ length: 20 * 500 }, (_, at) => `europe_owed${at}`)
    await places.ask('frankfurt', 'SADD', keys.owed('0', 'london'), ...owed)
    await places.ask('frankfurt', 'HSET', keys.behind, 'london', 1)
    await places.ask('london', 'HSET', keys.behind, 'frankfurt', 1)
    let delay = 200
    const slowed = (client: Redis): RedisClient => ({
      async call(name, ...args) {
        if (name === 'EVAL') await new Promise((resolve) => setTimeout(resolve, delay))
        return client.call(name, ...args)
      },
      duplicate: (...options) => client.duplicate(...(options as [])),
      get status() {
        return client.status
      },
    })
    const store = regionalStore({
      regions: regions({ jurisdictions: TABLE }),
      clients: { london: slowed(opened.clients.london), frankfurt: slowed(opened.clients.frankfurt) },
      prefix,
      commandTimeout: 400,
    })
    await expect(store.in('europe').get(id)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'no location of `europe` can be reached',
    })
    expect(store.status().map(({ condition }) => condition)).not.toContain('current')
    expect(await places.ask('frankfurt', 'SCARD', keys.owed('0', 'london'))).toBe(owed.length)
    delay = 0
    await until('it has ended', async () => {
      await store
        .in('europe')
        .get(id)
        .catch(() => undefined)
      return store.status().every(({ condition }) => condition === 'current')
    })
    expect((await store.in('europe').get(id))?.value).toEqual({ name: 'kept' })
    store.close()
  })
})

describe('a damaged record', () => {
  it('is read from another location, and never mistaken for "no such person"', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    await europe.put(id, { name: 'whole' }, 0)
    const [key] = (await places.ask('london', 'KEYS', `*:${id}`)) as [string]
    await places.ask('london', 'HSET', key, 'state', 'broken')
    expect((await europe.get(id))?.value).toEqual({ name: 'whole' })
    expect(opened.store.status()[0]).toMatchObject({ location: 'london', condition: 'current' })
    await places.ask('frankfurt', 'HSET', key, 'revision', 'broken')
    await expect(europe.get(id)).rejects.toThrow(UnreadableError)
    for (const place of ['london', 'frankfurt'] as const) await places.ask(place, 'DEL', key)
  })
})

describe('two processes that write to one record at different locations first', () => {
  it('get at most one of both writes acknowledged, and leave the same record in both locations', async () => {
    const jurisdictions = {
      europe: { locations: ['frankfurt', 'london'], countries: ['DE', 'FR', 'GB', 'IT'] },
      world: { locations: ['dallas'], countries: '*' },
    } as const
    const other = regionalStore({
      regions: regions({ jurisdictions }),
      clients: opened.clients,
      commandTimeout: 5_000,
    })
    const ids = Array.from({ length: 100 }, european)
    for (const id of ids) await opened.store.in('europe').put(id, { by: 'nobody' }, 0)
    const writers = { one: opened.store.in('europe'), other: other.in('europe') }
    // Each knows all locations, so that both write at once.
    for (const writer of Object.values(writers)) await writer.get('europe_0')
    const acknowledged = await Promise.all(
      ids.map(async (id) => {
        const outcomes = await Promise.allSettled(
          Object.entries(writers).map(async ([by, writer]) => {
            await writer.put(id, { by }, 1)
            return by
          }),
        )
        return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
      }),
    )
    expect(acknowledged.filter((by) => by.length > 1)).toEqual([])
    expect(acknowledged.filter((by) => by.length === 1).length).toBeGreaterThan(0)
    for (const [index, id] of ids.entries()) {
      const [london, frankfurt] = [await copyAt('london', id), await copyAt('frankfurt', id)]
      expect(london).toEqual(frankfurt)
      const [by] = acknowledged[index] ?? []
      if (by !== undefined) expect(london?.['value']).toBe(JSON.stringify({ by }))
    }
    other.close()
  })
})

describe('a conflict of two records', () => {
  it('leaves the later one with a higher revision than both, so that whoever has read the other must read again', async () => {
    const redis: RedisClient = opened.clients.dallas
    const at = { jurisdiction: 'europe', others: [], keys: createKeyspace(), timeout: 5_000 }
    const london = new Location(redis, { ...at, name: 'london' })
    const entry = { state: 'here', move: '', sure: '', revision: 2 } as const
    const one = { ...entry, stamp: '1', value: '{"by":"one"}', line: 'frankfurt=1 london=1' }
    const other = { ...entry, stamp: '2', value: '{"by":"other"}', line: 'london=2' }
    const id = european()
    expect(await london.take(id, one, 'copy')).toEqual({ outcome: 'taken', revision: 2 })
    expect(await london.take(id, other, 'copy')).toEqual({ outcome: 'joined', revision: 3 })
    expect(await london.read(id)).toMatchObject({
      revision: 3,
      value: '{"by":"other"}',
      line: 'frankfurt=1 london=2',
    })
    expect(await london.take(id, one, 'copy')).toEqual({ outcome: 'newer', revision: 3 })
    await places.clear()
    await allCurrent(opened)
  })
})

describe('a server in the wrong place', () => {
  it('is not used, whatever it contains', async () => {
    const { clients } = opened
    const mixed = await places.open({
      clients: { london: clients.dallas, frankfurt: clients.frankfurt, dallas: clients.london },
    })
    const id = european()
    await mixed.store.in('europe').put(id, { name: 'Misled Canary' }, 0)
    await expect(mixed.store.in('world').put(american(), { name: 'x' }, 0)).rejects.toThrow(UnavailableError)
    expect(mixed.store.status().map(({ condition }) => condition)).toEqual(['foreign', 'current', 'foreign'])
    expect(await isNowhereAt('dallas', 'Canary')).toBe(true)
    mixed.close()
    await allCurrent(opened)
  })
})

describe('a move', () => {
  it('leaves one home, and no data of the person at the old one', async () => {
    const events: MoveEvent[] = []
    const mover = await places.open({ recordMove: (event) => void events.push(event) })
    const { store } = mover
    const id = american()
    await store.in('world').put(id, { name: 'Moving Canary' }, 0)
    const now = await store.move(id, 'europe')
    expect(now).toMatch(/^europe_/)
    expect(await store.in('world').get(id)).toBeUndefined()
    expect((await store.in('europe').get(now))?.value).toEqual({ name: 'Moving Canary' })
    expect(await isNowhereAt('dallas', 'Canary')).toBe(true)
    expect(await isNowhereAt('dallas', now)).toBe(true)
    expect(events.map(({ step, jurisdiction, person }) => [step, jurisdiction, person])).toEqual([
      ['begin', 'world', id],
      ['copy', 'europe', now],
      ['verify', 'europe', now],
      ['cutOver', 'world', id],
      ['settle', 'europe', now],
      ['erase', 'world', id],
    ])
    mover.close()
  })

  it('stops if a copy differs from the original, and continues with another copy', async () => {
    const id = american()
    await opened.store.in('world').put(id, { name: 'Exact' }, 0)
    let isTamperedWith = false
    const mover = await places.open({
      async recordMove({ step, person }) {
        if (step !== 'verify' || isTamperedWith) return
        isTamperedWith = true
        const [key] = (await places.ask('frankfurt', 'KEYS', `*:${person}`)) as [string]
        await places.ask('frankfurt', 'HSET', key, 'value', '{"name":"Inexact"}')
      },
    })
    await expect(mover.store.move(id, 'europe')).rejects.toThrow(
      'the copy of a record differs from the record',
    )
    expect((await opened.store.in('world').get(id))?.value).toEqual({ name: 'Exact' })
    expect(await mover.store.resumeMoves()).toEqual({ ended: 1, waiting: 0 })
    expect(await opened.store.in('world').get(id)).toBeUndefined()
    expect(await isNowhereAt('frankfurt', 'Inexact')).toBe(true)
    expect(await isNowhereAt('frankfurt', 'Exact')).toBe(false)
    mover.close()
  })

  it('needs all locations: it stops while one is unreachable, changes nothing, and continues later', async () => {
    const id = american()
    await opened.store.in('world').put(id, { name: 'Patient' }, 0)
    const mover = await places.open()
    await allCurrent(mover)
    mover.clients.frankfurt.disconnect()
    await until('the connection is gone', async () => mover.clients.frankfurt.status === 'end')
    await expect(mover.store.move(id, 'europe')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'not every location of `europe` can be reached, and this needs all of them',
    })
    expect((await mover.store.in('world').get(id))?.value).toEqual({ name: 'Patient' })
    mover.close()
    await opened.store.resumeMoves()
    expect((await opened.store.in('world').get(id))?.value).toEqual({ name: 'Patient' })
    await opened.store.move(id, 'europe')
    expect(await opened.store.in('world').get(id)).toBeUndefined()
  })

  it.each(['begin', 'copy', 'verify', 'cutOver', 'settle', 'erase'] as const)(
    'that ends at the step %s is resumed, with one home at every instant',
    async (step) => {
      const id = american()
      const known = new Set(await everybody(opened))
      await opened.store.in('world').put(id, { name: 'Halted' }, 0)
      const halted = await places.open({
        recordMove: (event) => {
          if (event.step === step) throw new Error('the process ends')
        },
      })
      await expect(halted.store.move(id, 'europe')).rejects.toThrow('the process ends')
      halted.close()
      const { store } = opened
      const homes = (await everybody(opened)).filter((found) => !known.has(found))
      const home = step === 'erase' ? /^europe_/ : new RegExp(`^${id}$`)
      expect(homes).toEqual(step === 'settle' ? [] : [expect.stringMatching(home)])
      expect((await store.in('world').get(id))?.value).toEqual(
        ['settle', 'erase'].includes(step) ? undefined : { name: 'Halted' },
      )
      expect(await store.resumeMoves()).toEqual({ ended: 1, waiting: 0 })
      expect(await store.resumeMoves()).toEqual({ ended: 0, waiting: 0 })
      expect(await store.in('world').get(id)).toBeUndefined()
      const now = (await everybody(opened)).filter((found) => !known.has(found))
      expect(now).toEqual([expect.stringMatching(/^europe_/)])
      expect((await store.in('europe').get(now[0] as `europe_${string}`))?.value).toEqual({ name: 'Halted' })
      expect(await isNowhereAt('dallas', 'Halted')).toBe(true)
    },
  )
})

describe('a planted note of a move', () => {
  /** Writes a note like `move`, bypassing the store. */
  async function plant(at: readonly PlaceName[], name: string, value: string): Promise<() => Promise<void>> {
    const keys = createKeyspace()
    const id = `moves:${name}`
    const [record, ids] = [keys.record('moves', id), keys.recordIds('moves')]
    for (const place of at) {
      const fields = ['revision', 1, 'stamp', '0', 'state', 'here', 'move', '', 'value', value]
      await places.ask(place, 'HSET', record, ...fields)
      await places.ask(place, 'SADD', ids, id)
    }
    return async () => {
      for (const place of at) {
        await places.ask(place, 'DEL', record)
        await places.ask(place, 'SREM', ids, id)
      }
    }
  }

  beforeAll(() => allCurrent(opened))

  it('in Dallas moves no European there', async () => {
    const { store } = opened
    const id = european()
    await store.in('europe').put(id, { name: 'Fetched Canary' }, 0)
    const remove = await plant(['dallas'], 'a', JSON.stringify({ source: id, target: 'world_planted' }))
    expect(await store.resumeMoves()).toEqual({ ended: 0, waiting: 1 })
    expect((await store.in('europe').get(id))?.value).toEqual({ name: 'Fetched Canary' })
    expect(await store.in('world').get('world_planted')).toBeUndefined()
    expect(await isNowhereAt('dallas', 'Fetched Canary')).toBe(true)
    await remove()
  })

  it('in Europe moves nobody from Dallas, which has no such move', async () => {
    const { store } = opened
    const id = american()
    await store.in('world').put(id, { name: 'Stays' }, 0)
    const note = JSON.stringify({ source: id, target: 'europe_planted' })
    const remove = await plant(['london', 'frankfurt'], 'b', note)
    expect(await store.resumeMoves()).toEqual({ ended: 0, waiting: 1 })
    expect((await store.in('world').get(id))?.value).toEqual({ name: 'Stays' })
    expect(await store.in('europe').get('europe_planted')).toBeUndefined()
    await remove()
  })

  it.each(['no JSON', 'null', '{"source":"europe_1"}', '{"source":"mars_1","target":"europe_1"}'])(
    'that says %s does not prevent other moves from being resumed',
    async (value) => {
      const id = american()
      await opened.store.in('world').put(id, { name: 'Next' }, 0)
      const halted = await places.open({
        recordMove() {
          throw new Error('the process ends')
        },
      })
      await expect(halted.store.move(id, 'europe')).rejects.toThrow('the process ends')
      halted.close()
      const remove = await plant(['london', 'frankfurt'], '0', value)
      expect(await opened.store.resumeMoves()).toEqual({ ended: 1, waiting: 1 })
      expect(await opened.store.in('world').get(id)).toBeUndefined()
      await remove()
    },
  )
})

describe('moves that are interrupted repeatedly', () => {
  it('never leave a person with two homes, or without a home', async () => {
    const random = seededRandom()
    const ends = new Map<string, { source?: string; target?: string }>()
    const movers = await Promise.all(
      [0, 1, 2].map(() =>
        places.open({
          recordMove(event) {
            const end = ends.get(event.move) ?? {}
            ends.set(event.move, end)
            if (event.jurisdiction === 'world') end.source = event.person
            else end.target = event.person
            if (random() < 0.3) throw new Error('the process ends')
          },
        }),
      ),
    )
    const ids = Array.from({ length: 40 }, american)
    await Promise.all(ids.map((id) => opened.store.in('world').put(id, { id }, 0)))
    let isOver = false
    let looks = 0
    const problems: string[] = []
    const watch = async (): Promise<void> => {
      const { store } = opened
      while (!isOver) {
        for (const { source, target } of ends.values()) {
          if (source === undefined || target === undefined) continue
          looks += 1
          const isServed = async (id: string): Promise<boolean> =>
            store
              .for({ portcullis: { region: { jurisdiction: id.split('_')[0] as string } } })
              .get(id as never)
              .then(
                (found) => found !== undefined,
                // "Unavailable" is different from "no such person".
                () => true,
              )
          // After the new home serves the person, the old one must never do so again.
          const atNew = await store
            .in('europe')
            .get(target as `europe_${string}`)
            .catch(() => undefined)
          if (atNew !== undefined && (await store.in('world').get(source as `world_${string}`)) !== undefined)
            problems.push(`${source} has two homes`)
          // After the old home has stopped, the new one serves the person, or is about to.
          if (!(await isServed(source)) && !(await isServed(target))) problems.push(`${source} has no home`)
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const watching = watch()
    await Promise.all(
      ids.map(async (id, index) => {
        const { store } = movers[index % movers.length] as Opened
        await store.move(id, 'europe').catch(() => undefined)
      }),
    )
    // Several processes resume them at once, and may end again.
    await until('all moves have ended', async () => {
      const rounds = await Promise.all(movers.map(({ store }) => store.resumeMoves()))
      return rounds.every(({ waiting, ended }) => waiting + ended === 0)
    })
    isOver = true
    await watching
    expect(problems).toEqual([])
    expect(looks).toBeGreaterThan(100)
    const homes = await Promise.all(
      [...ends.values()].map(async ({ source, target }) => ({
        old: await opened.store.in('world').get(source as `world_${string}`),
        now:
          (await opened.store.in('europe').get<{ id: string }>(target as `europe_${string}`))?.value.id ===
          source,
      })),
    )
    const stayed = await Promise.all(
      ids.map(async (id) => (await opened.store.in('world').get(id)) !== undefined),
    )
    // People whose move ended before it began are at their old home.
    expect(homes.filter(({ now }) => now).length + stayed.filter(Boolean).length).toBe(ids.length)
    for (const mover of movers) mover.close()
  })
})

async function everybody({ store }: Opened): Promise<string[]> {
  const found: string[] = []
  for (const jurisdiction of ['europe', 'world'] as const) {
    let next: string | undefined
    do {
      const page = await store.in(jurisdiction).list(next)
      found.push(...page.ids)
      next = page.next
    } while (next !== undefined)
  }
  return found
}
