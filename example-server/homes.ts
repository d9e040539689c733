import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { DEFAULT_JURISDICTIONS } from 'portcullis'
import {
  regionalStore,
  regions,
  RevisionConflict,
  UsageError,
  type LocationStatus,
  type PersonHandle,
  type PersonId,
  type RegionalStore,
} from 'portcullis/region'
import type { PeopleStore } from 'portcullis/vault'
import { createOutageLog, type Log, type Outage } from './log.ts'
import type { Storage } from './storage.ts'

/** The storage of the people of one jurisdiction, and of the keys that encrypt their fields. */
export interface Home {
  readonly jurisdiction: string
  readonly records: PersonHandle
  readonly keys: PeopleStore
}

/** What a location stores now. Contains no field of a person. */
export interface Holding extends LocationStatus {
  /** The identifiers of people; `undefined` if the location does not answer. */
  readonly people: readonly string[] | undefined
  readonly keys: number | undefined
  readonly emails: number | undefined
}

/** The storage of all jurisdictions that this process can reach. */
export interface Homes {
  readonly all: readonly Home[]
  /** The jurisdiction of the citizens of a country. */
  belonging(country: string): string
  newPersonId(jurisdiction: string): PersonId
  /** Checks which locations are reachable. Resolves with an empty list if all jurisdictions share one storage. */
  locations(): Promise<readonly LocationStatus[]>
  /** The state of each location at the last check, without waiting. Missing if all jurisdictions share one storage. */
  status?(): readonly LocationStatus[]
  /** What each location stores, read from its own server. */
  holdings(): Promise<readonly Holding[]>
  close(): void
}

const START_LIMIT = 5_000
const MOST_SHOWN = 1_000

const table = regions()

const belonging = (country: string): string => {
  const found = table.belonging({ countries: [country] })
  if (found === undefined) throw new UsageError('the country is not known')
  return found.jurisdiction
}

const newPersonId = (jurisdiction: string): PersonId => table.newPersonId(jurisdiction as 'europe')

/**
 * Stores each jurisdiction in the Redis servers of its locations. `urls`, by location, has all locations of a
 * jurisdiction or none.
 */
export async function regionalHomes(
  urls: Readonly<Record<string, string>>,
  prefix: string,
  log: Log,
): Promise<Homes> {
  const outages = Object.fromEntries(Object.keys(urls).map((name) => [name, outageOf(name, log)]))
  const clients = Object.fromEntries(
    Object.entries(urls).map(([name, url]) => [name, connect(url, outages[name] as Outage)]),
  )
  const store = regionalStore({
    regions: table,
    clients,
    prefix,
    commandTimeout: 500,
    onNotice({ location, what }) {
      // The connection to a server that does not answer may stay open.
      if (what === 'lost') outages[location]?.away({ code: 'no answer' })
      else if (what === 'returned') outages[location]?.back()
      else if (what === 'foreign') log(`Redis of ${location} belongs to another location, and is not used`)
      else log(`Redis of ${location} has lost its data: the other locations give it back`)
    },
  }) as unknown as RegionalStore
  const all = table.names
    .filter((name) => DEFAULT_JURISDICTIONS[name]?.locations.some((location) => location in urls))
    .map((jurisdiction) => {
      const records = store.in(jurisdiction) as PersonHandle
      return { jurisdiction, records, keys: keysIn(records) }
    })
  const locations = async (): Promise<readonly LocationStatus[]> => {
    // Any read makes the store check which locations answer.
    await Promise.allSettled(all.map(({ jurisdiction, records }) => records.get(`${jurisdiction}_nobody`)))
    return store.status()
  }
  // Wait until new locations are prepared, but not for unreachable ones.
  for (const until = Date.now() + START_LIMIT; Date.now() < until; await sleep(50)) {
    if (!(await locations()).some(({ condition }) => condition === 'behind' || condition === 'unknown')) break
  }
  return {
    all,
    belonging,
    newPersonId,
    locations,
    status() {
      // Starts a check, whose result the next call returns.
      void locations()
      return store.status()
    },
    holdings: async () =>
      Promise.all(
        (await locations()).map(async (status) => ({
          ...status,
          ...(await held(clients[status.location] as Redis, `${prefix}region:`)),
        })),
      ),
    close() {
      store.close()
      for (const client of Object.values(clients)) client.disconnect()
    },
  }
}

/** What a server stores, limited to about a thousand keys. Asks the server itself, and not the regional store. */
async function held(client: Redis, prefix: string): Promise<Pick<Holding, 'people' | 'keys' | 'emails'>> {
  try {
    const ids: string[] = []
    for (let cursor = ''; cursor !== '0' && ids.length < MOST_SHOWN;) {
      const [next, keys] = await client.scan(
        cursor === '' ? '0' : cursor,
        'MATCH',
        `${prefix}{*}:*`,
        'COUNT',
        500,
      )
      // A removed record has an identifier and a revision, but no value.
      const there = await Promise.all(keys.map((key) => client.hexists(key, 'value')))
      ids.push(...keys.filter((_, at) => there[at] === 1).map((key) => key.slice(key.indexOf('}:') + 2)))
      cursor = next
    }
    const of = (kind: string): number => ids.filter((id) => id.includes(kind)).length
    const people = ids.filter((id) => !/_(?:key|email):|^moves:/.test(id))
    return { people, keys: of('_key:'), emails: of('_email:') }
  } catch {
    return { people: undefined, keys: undefined, emails: undefined }
  }
}

/** Logs the outages of a location, and who serves its people meanwhile. */
function outageOf(location: string, log: Log): Outage {
  const all = Object.values(DEFAULT_JURISDICTIONS).map(({ locations }) => locations)
  const others = (all.find((own) => own.includes(location)) ?? []).filter((name) => name !== location)
  const meanwhile = others.length === 0 ? undefined : `its people are served by ${others.join(' and ')}`
  return createOutageLog(`Redis of ${location}`, log, meanwhile)
}

/** Connects in the background, so the example server starts even if this Redis is unreachable. */
function connect(url: string, outage: Outage): Redis {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
    retryStrategy: (tries) => Math.min(1_000, 50 * tries),
  })
  client.on('error', (error: unknown) => outage.away(error))
  client.on('ready', () => outage.back())
  return client
}

interface StoredKeys {
  readonly name: string
  readonly secrets: readonly string[]
}

/** Stores the keys of people as records of their jurisdiction, so the keys stay in its locations too. */
function keysIn(records: PersonHandle): PeopleStore {
  const idOf = (name: string): PersonId => `${records.jurisdiction}_key:${hashOf(name)}`

  async function change<T>(
    name: string,
    decide: (secrets: readonly string[]) => { readonly result: T; readonly secrets?: readonly string[] },
  ): Promise<T> {
    for (;;) {
      const found = await records.get<StoredKeys>(idOf(name))
      const { result, secrets } = decide(found?.value.secrets ?? [])
      try {
        if (secrets === undefined) return result
        if (secrets.length > 0)
          await records.put<StoredKeys>(idOf(name), { name, secrets }, found?.revision ?? 0)
        else if (found !== undefined) await records.delete(idOf(name), found.revision)
        return result
      } catch (error) {
        if (!(error instanceof RevisionConflict)) throw error
      }
    }
  }

  return {
    read: async (name) => (await records.get<StoredKeys>(idOf(name)))?.value.secrets ?? [],
    add: (name, sealed, most) =>
      change(name, (before) => {
        if (before.length >= most || before.includes(sealed)) return { result: before }
        return { result: [...before, sealed], secrets: [...before, sealed] }
      }),
    replace: (name, before, after) =>
      change(name, (all) =>
        all.includes(before)
          ? { result: true, secrets: all.map((each) => (each === before ? after : each)) }
          : { result: false },
      ),
    erase: (name) => change(name, ({ length }) => ({ result: length, secrets: [] })),
    async *names() {
      let next: string | undefined
      do {
        const page = await records.list(next)
        const found = await Promise.all(
          page.ids.filter((id) => isKey(id)).map((id) => records.get<StoredKeys>(id)),
        )
        yield found.flatMap((record) => record?.value.name ?? [])
        next = page.next
      } while (next !== undefined)
    },
  }
}

const isKey = (id: PersonId): boolean => /_key:[0-9a-f]{64}$/.test(id)

/** A hash in hexadecimal, because after the jurisdiction the identifier of a record must not contain `_`. */
export const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex')

/** Stores all jurisdictions in one storage, for trials and for operators with a single location. */
export function sharedHomes(storage: Storage, keys: PeopleStore): Homes {
  return {
    all: table.names.map((jurisdiction) => ({
      jurisdiction,
      keys,
      records: recordsIn(storage, jurisdiction),
    })),
    belonging,
    newPersonId,
    locations: async () => [],
    holdings: async () => [],
    close: () => undefined,
  }
}

/** Stores the records of one jurisdiction in a storage that has no regions. */
function recordsIn(storage: Storage, jurisdiction: string): PersonHandle {
  interface Stored {
    readonly revision: number
    readonly value: object
  }
  const keyOf = (id: PersonId): string => `${id.includes('_email:') ? 'email' : 'person'}:${id}`
  const read = async (id: PersonId): Promise<{ text: string; stored: Stored } | undefined> => {
    const text = await storage.get(keyOf(id))
    return text === undefined ? undefined : { text, stored: JSON.parse(text) as Stored }
  }
  return {
    jurisdiction,
    owns: (id): id is PersonId => id.startsWith(`${jurisdiction}_`),
    get: (async (id) => {
      const found = await read(id)
      return found && { id, revision: found.stored.revision, value: found.stored.value }
    }) as PersonHandle['get'],
    async put(id, value, revision) {
      const after = JSON.stringify({ revision: revision + 1, value })
      if (revision === 0 && (await storage.add(keyOf(id), after))) return 1
      const found = await read(id)
      const isIt = revision > 0 && found?.stored.revision === revision
      if (isIt && (await storage.swap(keyOf(id), found.text, after))) return revision + 1
      throw new RevisionConflict('', revision, found?.stored.revision ?? 0, 'person')
    },
    async delete(id, revision) {
      const found = await read(id)
      const isIt = found?.stored.revision === revision
      // The text is compared, because another record may have the same key and revision by now.
      if (isIt && (await storage.discard(keyOf(id), found.text))) return
      throw new RevisionConflict('', revision, found?.stored.revision ?? 0, 'person')
    },
    list: () => Promise.reject(new UsageError('this storage cannot list people')),
  }
}
