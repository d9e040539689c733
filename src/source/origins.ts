import { LRUCache } from 'lru-cache'
import { isAppId } from '../policy/index.ts'

const MAX_ORIGINS = 1_000

/** Remembers for a short time which apps an origin may belong to. */
export interface Origins {
  find(origin: string): Promise<readonly string[]>
  /** Forgets all of them, those on their way included. */
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
      const flight = readAnew(origin).finally(() => {
        if (flights.get(origin) === flight) flights.delete(origin)
      })
      flights.set(origin, flight)
      return flight
    },
    forget() {
      known.clear()
      // Who asks from now on must not join a read that began before.
      flights.clear()
      generation += 1
    },
  }
}
