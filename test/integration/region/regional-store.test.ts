import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { RevisionConflict, UnavailableError, UsageError, type MoveEvent } from 'portcullis/region'
import { until } from '../../support/redis.ts'
import { startThreePlaces, type Opened, type PlaceName, type ThreePlaces } from '../../support/region.ts'

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

/** What the server of a place has of an id. */
async function copyAt(place: PlaceName, id: string): Promise<Record<string, string> | undefined> {
  for (const key of (await places.ask(place, 'KEYS', `*:${id}`)) as string[]) {
    const flat = (await places.ask(place, 'HGETALL', key)) as string[]
    return Object.fromEntries(
      flat.flatMap((name, at) => (at % 2 === 0 ? [[name, String(flat[at + 1])]] : [])),
    )
  }
  return undefined
}

/** Whether every text of a place's keys and values lacks this one. */
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
  it('keeps a European in London and Frankfurt and leaves Dallas without a trace', async () => {
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

  it('keeps everybody else in Dallas alone', async () => {
    const id = american()
    await opened.store.in('world').put(id, { name: 'Texan Canary' }, 0)
    expect((await copyAt('dallas', id))?.['value']).toBe('{"name":"Texan Canary"}')
    expect(await isNowhereAt('london', id)).toBe(true)
    expect(await isNowhereAt('frankfurt', id)).toBe(true)
  })

  it('answers undefined for a person who is not there', async () => {
    expect(await opened.store.in('europe').get(european())).toBeUndefined()
  })

  it('writes a record only in place of the revision that was read', async () => {
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
    await places.clear()
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
  })
})

describe('when a location is away', () => {
  afterEach(async () => {
    for (const place of ['london', 'frankfurt', 'dallas'] as const) {
      places.relays[place].thaw()
      places.servers[place].resume()
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
    it(`${what}: Europeans are read and written, Dallas stays without a trace, and what was missed is copied back`, async () => {
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

  it('refuses with UnavailableError when both are away, writes nothing to Dallas, and serves Dallas as before', async () => {
    const { store } = opened
    const europe = store.in('europe')
    const [id, texan] = [european(), american()]
    await europe.put(id, { name: 'Both Canary' }, 0)
    places.relays.london.freeze()
    await places.servers.frankfurt.kill()
    await expect(europe.get(id)).rejects.toThrow(UnavailableError)
    await expect(europe.put(european(), { name: 'Refused Canary' }, 0)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'no location of `europe` can be asked',
    })
    await store.in('world').put(texan, { name: 'Texan' }, 0)
    expect((await store.in('world').get(texan))?.value).toEqual({ name: 'Texan' })
    expect(await isNowhereAt('dallas', 'Canary')).toBe(true)
    await places.servers.frankfurt.restart()
    places.relays.london.thaw()
    await allCurrent(opened)
    expect((await europe.get(id))?.value).toEqual({ name: 'Both Canary' })
  })

  it('does not ask a location that lacks writes of one that is away', async () => {
    const { store } = opened
    const europe = store.in('europe')
    const id = european()
    await europe.put(id, { n: 1 }, 0)
    places.relays.frankfurt.freeze()
    await europe.put(id, { n: 2 }, 1)
    places.relays.london.freeze()
    places.relays.frankfurt.thaw()
    // Frankfurt answers, and what it has is old.
    await expect(europe.get(id)).rejects.toThrow(UnavailableError)
    places.relays.london.thaw()
    await allCurrent(opened)
    expect((await europe.get(id))?.value).toEqual({ n: 2 })
  })

  it('is brought back by a process that starts later', async () => {
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

  it('does not lose a write of another process that London has not seen', async () => {
    const stale = await places.open({ checkEvery: 60_000 })
    const id = european()
    await stale.store.in('europe').put(id, { n: 1 }, 0)
    places.relays.london.freeze()
    await opened.store.in('europe').put(id, { n: 2 }, 1)
    opened.store.close()
    places.relays.london.thaw()
    // London is behind, and this process does not know it.
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

  it('fills a location that has lost all its data before it asks it', async () => {
    const europe = opened.store.in('europe')
    const id = european()
    await europe.put(id, { name: 'kept' }, 0)
    await places.servers.london.kill() // which keeps nothing on disk
    await places.servers.london.restart()
    await until('London has it again', async () => {
      expect((await europe.get(id))?.value).toEqual({ name: 'kept' })
      return (await copyAt('london', id)) !== undefined
    })
  })
})

describe('a server in the wrong place', () => {
  it('is not asked, whatever it holds', async () => {
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
  it('leaves one home, and nothing of the person at the old one', async () => {
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

  it.each(['begin', 'copy', 'verify', 'cutOver', 'settle', 'erase'] as const)(
    'that ends at the step %s is carried on, with one home at every instant',
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
