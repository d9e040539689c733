import { describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { ConfigError, regionalStore, regions } from 'portcullis/region'

const client = (): Redis => new Redis({ lazyConnect: true })
const [london, frankfurt, dallas] = [client(), client(), client()]
const good = { regions: regions(), clients: { london, frankfurt, dallas } }

const wrong: [what: string, options: unknown, message: RegExp][] = [
  ['nothing', undefined, /`regionalStore` takes an object with at least `regions`, `clients`/],
  [
    'no regions',
    { clients: good.clients },
    /`regionalStore.regions` is missing: give the result of `regions\(\)`/,
  ],
  [
    'jurisdictions in place of regions',
    { ...good, regions: {} },
    /`regionalStore.regions` must be the result of `regions\(\)`/,
  ],
  ['no clients', { regions: good.regions }, /`regionalStore.clients` is missing/],
  ['a list of clients', { ...good, clients: [london] }, /`regionalStore.clients` must be an object/],
  [
    'an empty object of clients',
    { ...good, clients: {} },
    /clients for the locations of at least one jurisdiction/,
  ],
  [
    'a client for no location',
    { ...good, clients: { ...good.clients, paris: client() } },
    /`regionalStore.clients.paris` must be left out, because the locations are london, frankfurt, dallas/,
  ],
  [
    'a URL in place of a client',
    { ...good, clients: { ...good.clients, dallas: 'redis://:hunter2@host' } },
    /`regionalStore.clients.dallas` must be a client of ioredis.*, got a value that is not shown here, because it may be secret/,
  ],
  [
    'one client for two locations',
    { ...good, clients: { london, frankfurt: london, dallas } },
    /`regionalStore.clients.frankfurt` must be a client of its own, because `london` uses this one/,
  ],
  [
    'one location of two',
    { ...good, clients: { london, dallas } },
    /`regionalStore.clients.frankfurt` is missing: give a client, because `europe` has clients for its other locations/,
  ],
  [
    'a prefix with braces',
    { ...good, prefix: '{a}' },
    /`regionalStore.prefix` must be a string without braces/,
  ],
  [
    'a time that is none',
    { ...good, commandTimeout: 0 },
    /`regionalStore.commandTimeout` must be a whole number of milliseconds from 1 to 60000/,
  ],
  ['a check that never comes', { ...good, checkEvery: Infinity }, /`regionalStore.checkEvery`/],
  ['a listener that is none', { ...good, onNotice: 'log' }, /`regionalStore.onNotice` must be a function/],
  ['a recorder that is none', { ...good, recordMove: {} }, /`regionalStore.recordMove` must be a function/],
  [
    'an unknown option',
    { ...good, commandTimeOut: 1 },
    /unknown option `commandTimeOut`: did you mean `commandTimeout`\?/,
  ],
]

describe('regionalStore', () => {
  for (const [what, options, message] of wrong) {
    it(`refuses ${what}`, () => {
      const make = () => regionalStore(options as never)
      expect(make).toThrow(ConfigError)
      expect(make).toThrow(message)
      expect(make).not.toThrow(/hunter2/)
    })
  }

  it('may have no clients for a jurisdiction, and then has no handle for it', () => {
    const store = regionalStore({ regions: regions(), clients: { dallas } })
    expect(store.in('world').jurisdiction).toBe('world')
    expect(() => store.in('europe')).toThrow('the store has no clients for `europe`')
    expect(store.status().map(({ location }) => location)).toEqual(['dallas'])
    store.close()
  })

  it('returns the handle of the jurisdiction that regionPin has found, or none if it found nothing', () => {
    const store = regionalStore(good)
    expect(store.for({ portcullis: { region: { jurisdiction: 'world' } } }).jurisdiction).toBe('world')
    for (const request of [{}, { portcullis: {} }, { portcullis: { region: undefined } }])
      expect(() => store.for(request)).toThrow('mount `regionPin` before this handler')
    store.close()
  })
})

describe('regions', () => {
  it('assigns a person by the identifier, then by the most protective country, and otherwise not at all', () => {
    const places = regions()
    expect(places.belonging({ id: 'world_1', countries: 'DE' })).toEqual({ jurisdiction: 'world', by: 'id' })
    expect(places.belonging({ id: '4711', countries: ['US', 'FR'] })).toEqual({
      jurisdiction: 'europe',
      by: 'country',
    })
    expect(places.belonging({ countries: 'JP' })).toEqual({ jurisdiction: 'world', by: 'country' })
    for (const person of [{}, { id: 'asia_1' }, { countries: [] }, { countries: 'ZZ' }])
      expect(places.belonging(person)).toBeUndefined()
  })

  it('creates unique identifiers that name their jurisdiction', () => {
    const places = regions()
    const ids = Array.from({ length: 100 }, () => places.newPersonId('europe'))
    expect(new Set(ids).size).toBe(100)
    for (const id of ids) expect(places.belonging({ id })?.jurisdiction).toBe('europe')
  })

  const bad: [options: unknown, message: RegExp][] = [
    [
      { here: 'paris' },
      /`regions.here` must be a location of the jurisdictions: `london`, `frankfurt`, `dallas`, got "paris"/,
    ],
    [{ here: undefined, jurisdictions: {} }, /`regions.jurisdictions` must be an object/],
    [{ jurisdiction: {} }, /unknown option `jurisdiction`/],
  ]
  it.each(bad)('refuses %j', (options, message) => {
    expect(() => regions(options as never)).toThrow(ConfigError)
    expect(() => regions(options as never)).toThrow(message)
  })
})
