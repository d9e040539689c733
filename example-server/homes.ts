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
import { createOutageLog, type Log } from './log.ts'
import type { Storage } from './storage.ts'

/** Where the people of one jurisdiction are kept, and the keys by which their fields are sealed. */
export interface Home {
  readonly jurisdiction: string
  readonly records: PersonHandle
  readonly keys: PeopleStore
}

/** What lies at a location now, without a field of anybody. */
export interface Holding extends LocationStatus {
  /** The identifiers of people; `undefined` where the location does not answer. */
  readonly people: readonly string[] | undefined
  readonly keys: number | undefined
  readonly emails: number | undefined
}

/** The homes of all people that this process can reach. */
export interface Homes {
  readonly all: readonly Home[]
  /** Where the citizens of a country belong. */
  belonging(country: string): string
  newPersonId(jurisdiction: string): PersonId
  /** Which locations can be asked now; none where all share one storage. */
  locations(): Promise<readonly LocationStatus[]>
  /** Which locations answered last, without waiting; left out where all share one storage. */
  status?(): readonly LocationStatus[]
  /** What each location holds, as its own server says it. */
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

/** Each jurisdiction in the Redis servers of its own locations: `urls` by location, all of a jurisdiction or none. */
export async function regionalHomes(
  urls: Readonly<Record<string, string>>,
  prefix: string,
  log: Log,
): Promise<Homes> {
  const clients = Object.fromEntries(
    Object.entries(urls).map(([name, url]) => [name, connect(name, url, log)]),
  )
  const store = regionalStore({
    regions: table,
    clients,
    prefix,
    commandTimeout: 500,
  }) as unknown as RegionalStore
  const all = table.names
    .filter((name) => DEFAULT_JURISDICTIONS[name]?.locations.some((location) => location in urls))
    .map((jurisdiction) => {
      const records = store.in(jurisdiction) as PersonHandle
      return { jurisdiction, records, keys: keysIn(records) }
    })
  const locations = async (): Promise<readonly LocationStatus[]> => {
    // Asking for anybody makes the store look which locations answer.
    await Promise.allSettled(all.map(({ jurisdiction, records }) => records.get(`${jurisdiction}_nobody`)))
    return store.status()
  }
  // A location that is new is prepared first. One that is away is not waited for.
  for (const until = Date.now() + START_LIMIT; Date.now() < until; await sleep(50)) {
    if (!(await locations()).some(({ condition }) => condition === 'behind' || condition === 'unknown')) break
  }
  return {
    all,
    belonging,
    newPersonId,
    locations,
    status() {
      // Asked anew for the next look.
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

/** What a server has of people, at most some hundreds. It is asked itself, past the store. */
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
      ids.push(...keys.map((key) => key.slice(key.indexOf('}:') + 2)))
      cursor = next
    }
    const of = (kind: string): number => ids.filter((id) => id.includes(kind)).length
    const people = ids.filter((id) => !/_(?:key|email):|^moves:/.test(id))
    return { people, keys: of('_key:'), emails: of('_email:') }
  } catch {
    return { people: undefined, keys: undefined, emails: undefined }
  }
}

/** It may be away when the server starts, and connects when it is there. */
function connect(location: string, url: string, log: Log): Redis {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
    retryStrategy: (tries) => Math.min(1_000, 50 * tries),
  })
  const outage = createOutageLog(`Redis of ${location}`, log)
  client.on('error', (error: unknown) => outage.away(error))
  client.on('ready', () => outage.back())
  return client
}

interface StoredKeys {
  readonly name: string
  readonly secrets: readonly string[]
}

/** The keys of people as records of the same jurisdiction, so that they are kept in its locations, and nowhere else. */
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

/** Identifiers of records have no `_` behind the jurisdiction. */
export const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex')

/** All jurisdictions in one storage: to try it, and for those who run it in one place. */
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

/** The records of one jurisdiction in a storage that knows no regions. */
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
      if (found?.stored.revision !== revision)
        throw new RevisionConflict('', revision, found?.stored.revision ?? 0, 'person')
      await storage.remove(keyOf(id))
    },
    list: () => Promise.reject(new UsageError('this storage cannot list people')),
  }
}
