import { LRUCache } from 'lru-cache'
import { UnavailableError } from '../errors.ts'
import { isAppId } from '../names.ts'
import type { App } from './contract.ts'

const MAX_ORIGINS = 1_000
/** How many origins are looked up at once. It limits a flood of invented origins. */
const MAX_FLIGHTS = 1_000

/** Remembers for a short time which apps an origin may belong to. Memory and concurrent reads are bounded. */
export interface Origins {
  /** Rejects if the store could not be read. */
  find(origin: string): Promise<readonly string[]>
  /** Forgets all origins, including those being read. */
  forget(): void
}

export function createOrigins(
  read: (origin: string) => Promise<readonly string[]>,
  lifetime: number,
  now: () => number,
): Origins {
  const known = new LRUCache<string, { ids: readonly string[]; readAt: number }>({ max: MAX_ORIGINS })
  const flights = new Map<string, Promise<readonly string[]>>()
  let generation = 0

  async function readAnew(origin: string): Promise<readonly string[]> {
    const [readAt, begun] = [now(), generation]
    const ids = (await read(origin)).filter(isAppId)
    if (begun === generation) known.set(origin, { ids, readAt })
    return ids
  }

  return {
    async find(origin) {
      const found = known.get(origin)
      if (found !== undefined && now() - found.readAt < lifetime) return found.ids
      const joined = flights.get(origin)
      if (joined !== undefined) return joined
      if (flights.size >= MAX_FLIGHTS)
        throw new UnavailableError('too many origins are being looked up at once')
      const flight = readAnew(origin).finally(() => {
        if (flights.get(origin) === flight) flights.delete(origin)
      })
      flights.set(origin, flight)
      return flight
    },
    forget() {
      known.clear()
      // A caller after this point must not join a read that began before it.
      flights.clear()
      generation += 1
    },
  }
}

/**
 * The apps that admit the origin. An unreadable app does not affect the others. If none of the others admits the origin, this
 * rejects, because the unreadable app might admit it.
 */
export async function appsThatAdmit(
  origin: string,
  ids: readonly string[],
  read: (appId: string) => App | null | Promise<App | null>,
): Promise<App[]> {
  const readings = await Promise.allSettled(ids.map(async (appId) => read(appId)))
  const found = readings.flatMap((reading) => (reading.status === 'fulfilled' ? [reading.value] : []))
  const admitting = found.filter(
    (app) => app !== null && app.policy.domainProtect?.domains.find(origin) !== undefined,
  ) as App[]
  const failed = readings.find((reading) => reading.status === 'rejected')
  if (admitting.length === 0 && failed !== undefined) throw failed.reason
  return admitting
}
