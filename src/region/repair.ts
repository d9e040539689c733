import { BUCKETS } from './buckets.ts'
import type { Place } from './place.ts'
import type { Settling } from './settling.ts'

/**
 * Copies what a place lacks from all other places that can be reached, and returns whether it is complete afterwards. Any number
 * of processes may do this at once, because a copy never replaces a later record.
 */
export async function bringBack(
  place: Place,
  others: readonly Place[],
  settling: Settling,
): Promise<boolean> {
  const reached = others.filter((other) => other.isReached)
  // A new server must not answer "there is no such person" before it has the records of every other location.
  if (place.isNew && reached.length < others.length) return false
  for (const from of reached) {
    // Read before copying. If the place misses a write meanwhile, the number rises, and the note stays.
    const { losses } = place
    const note = (await from.location.behind()).get(place.name)
    await eachBucket(async (bucket) => {
      if (place.isNew) await copyAll(from, place, bucket)
      await copyOwed(from, place, bucket, settling)
    })
    if (note !== undefined) await from.location.caughtUp(place.name, note)
    // If it was lost meanwhile, it may lack more.
    if (place.losses === losses) place.lacksOf.delete(from.name)
  }
  if (place.isNew) {
    await place.location.claim()
    place.isNew = false
  }
  return place.lacksOf.size === 0
}

/** Copies what other processes still owed to current places when they stopped. */
export async function sweep(places: readonly Place[], settling: Settling): Promise<void> {
  for (const from of places) {
    for (const to of places) {
      if (from === to) continue
      await eachBucket(async (bucket) => copyOwed(from, to, bucket, settling))
    }
  }
}

/** How many buckets are repaired at once. */
const BUCKETS_AT_ONCE = 16

async function eachBucket(repair: (bucket: string) => Promise<void>): Promise<void> {
  for (let start = 0; start < BUCKETS.length; start += BUCKETS_AT_ONCE)
    await all(BUCKETS.slice(start, start + BUCKETS_AT_ONCE).map(repair))
}

/** Waits for all of them even if one has failed, so that none is still running during the next repair. */
async function all(repairs: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(repairs)).find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
}

/** How many records are compared with one command. */
const COMPARED_AT_ONCE = 500

/**
 * Copies the owed records that differ, and settles all of them later, because the place may lose them until they are on its disk.
 * Most owed records are already there and only wait to be settled.
 */
export async function copyOwed(from: Place, to: Place, bucket: string, settling: Settling): Promise<void> {
  // Read first: after a further loss, the place may have lost what it takes now.
  const { losses } = to
  const owed = await from.location.owedTo(to.name, bucket)
  for (let start = 0; start < owed.length; start += COMPARED_AT_ONCE) {
    const ids = owed.slice(start, start + COMPARED_AT_ONCE)
    const [given, taken] = await Promise.all([
      from.location.heads(bucket, ids),
      to.location.heads(bucket, ids),
    ])
    const differing = ids.filter((_, index) => given[index] !== taken[index])
    const copied = await copy(from, to, differing)
    for (const [index, id] of ids.entries())
      settling.add(from, to, id, copied.get(id) ?? given[index]?.split('\0', 1)[0] ?? '', losses)
  }
}

async function copyAll(from: Place, to: Place, bucket: string): Promise<void> {
  let cursor = '0'
  do {
    const [next, ids] = await from.location.ids(bucket, cursor)
    await copy(from, to, ids)
    cursor = next
  } while (cursor !== '0')
}

/** How many records of one bucket are copied at once. */
const AT_ONCE = 16

async function copy(from: Place, to: Place, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const copied = new Map<string, string>()
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    await Promise.all(
      ids.slice(start, start + AT_ONCE).map(async (id) => {
        copied.set(id, await copyOne(from, to, id))
      }),
    )
  }
  return copied
}

/** Copies back and forth until both places agree. Returns the name of the write that was copied first. */
async function copyOne(from: Place, to: Place, id: string): Promise<string> {
  let first: string | undefined
  let [giver, taker] = [from, to]
  for (let round = 0; round < 3; round += 1) {
    const entry = await giver.location.read(id)
    first ??= entry?.stamp ?? ''
    if (entry === undefined) break
    const { outcome, revision } = await taker.location.take(id, entry, 'copy')
    if (outcome === 'taken' || (outcome === 'same' && revision === entry.revision)) break
    ;[giver, taker] = [taker, giver]
  }
  return first ?? ''
}
