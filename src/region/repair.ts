import { BUCKETS } from './buckets.ts'
import type { Place } from './place.ts'

/**
 * Gives a place what it lacks of the others that are reached, and says whether it is complete afterwards. Any number of processes
 * may do it at once, for a copy never replaces a later record.
 */
export async function bringBack(place: Place, others: readonly Place[]): Promise<boolean> {
  const reached = others.filter((other) => other.isReached)
  // An empty server cannot say "there is no such person" for those that it has never asked.
  if (place.isNew && reached.length < others.length) return false
  for (const from of reached) {
    // Read before the copying: what is missed meanwhile raises the number, and the note stays.
    const note = (await from.location.behind()).get(place.name)
    for (const bucket of BUCKETS) {
      if (place.isNew) await copyAll(from, place, bucket)
      await copyOwed(from, place, bucket)
    }
    if (note !== undefined) await from.location.caughtUp(place.name, note)
    place.lacksOf.delete(from.name)
  }
  if (place.isNew) {
    await place.location.claim()
    place.isNew = false
  }
  return place.lacksOf.size === 0
}

/** Gives places that are current what processes have left owed that ended before they could settle it. */
export async function sweep(places: readonly Place[]): Promise<void> {
  for (const from of places) {
    for (const to of places) {
      if (from === to) continue
      for (const bucket of BUCKETS) await copyOwed(from, to, bucket)
    }
  }
}

async function copyOwed(from: Place, to: Place, bucket: string): Promise<void> {
  const ids = await from.location.owedTo(to.name, bucket)
  await from.location.settle(to.name, bucket, await copy(from, to, ids))
}

async function copyAll(from: Place, to: Place, bucket: string): Promise<void> {
  let cursor = '0'
  do {
    const [next, ids] = await from.location.ids(bucket, cursor)
    await copy(from, to, ids)
    cursor = next
  } while (cursor !== '0')
}

/** So many are on their way at once. */
const AT_ONCE = 64

async function copy(from: Place, to: Place, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const copied = new Map<string, string>()
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    await Promise.all(
      ids.slice(start, start + AT_ONCE).map(async (id) => {
        const entry = await from.location.read(id)
        if (entry !== undefined) await to.location.take(id, entry, 'copy')
        copied.set(id, entry?.stamp ?? '')
      }),
    )
  }
  return copied
}
