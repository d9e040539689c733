import { BUCKETS } from './buckets.ts'
import type { Place } from './place.ts'
import type { Settling } from './settling.ts'

/**
 * Gives a place what it lacks of the others that are reached, and says whether it is complete afterwards. Any number of processes
 * may do it at once, for a copy never replaces a later record.
 */
export async function bringBack(
  place: Place,
  others: readonly Place[],
  settling: Settling,
): Promise<boolean> {
  const reached = others.filter((other) => other.isReached)
  // An empty server cannot say "there is no such person" for those that it has never asked.
  if (place.isNew && reached.length < others.length) return false
  for (const from of reached) {
    // Read before the copying: what is missed meanwhile raises the number, and the note stays.
    const { losses } = place
    const note = (await from.location.behind()).get(place.name)
    await eachBucket(async (bucket) => {
      if (place.isNew) await copyAll(from, place, bucket)
      await copyOwed(from, place, bucket, settling)
    })
    if (note !== undefined) await from.location.caughtUp(place.name, note)
    // Where it was lost meanwhile, it may lack more.
    if (place.losses === losses) place.lacksOf.delete(from.name)
  }
  if (place.isNew) {
    await place.location.claim()
    place.isNew = false
  }
  return place.lacksOf.size === 0
}

/** Gives places that are current what processes have left owed that ended before they could settle it. */
export async function sweep(places: readonly Place[], settling: Settling): Promise<void> {
  for (const from of places) {
    for (const to of places) {
      if (from === to) continue
      await eachBucket(async (bucket) => copyOwed(from, to, bucket, settling))
    }
  }
}

/** So many buckets are looked through at once. */
const BUCKETS_AT_ONCE = 16

async function eachBucket(repair: (bucket: string) => Promise<void>): Promise<void> {
  for (let start = 0; start < BUCKETS.length; start += BUCKETS_AT_ONCE)
    await all(BUCKETS.slice(start, start + BUCKETS_AT_ONCE).map(repair))
}

/** Waits for all of them, also when one has failed: none continues while the next repair runs. */
async function all(repairs: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(repairs)).find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
}

/** So many records are compared by one question. */
const COMPARED_AT_ONCE = 500

/**
 * Copies what is owed and is not there, and settles it once the place has it on its disk: it may be killed again before. Most of
 * what is owed is there already, and waits to be settled alone.
 */
export async function copyOwed(from: Place, to: Place, bucket: string, settling: Settling): Promise<void> {
  // What it takes before it is lost once more, it may lose with that.
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

/** So many records of one bucket are on their way at once. */
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

/** Until both have the same, where the place has something that stays. Answers with the name of the write that was copied first. */
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
