import { UnavailableError, isUnreadable } from '../errors.ts'
import { covers, type Entry } from './entry.ts'
import type { Change, Changed, Taken, Written } from './location.ts'
import type { Place } from './place.ts'
import type { Settling } from './settling.ts'
import type { Watch } from './watch.ts'

/** The states of records of which only the revision remains. */
const REMOVED: ReadonlySet<string> = new Set(['gone', 'left'])

/**
 * The locations of one jurisdiction, as one store. It reaches no other location: what it cannot do here, it refuses.
 *
 * The first current location decides each write. The others then copy it. If a location cannot, the write is owed to it, which is
 * noted before the write is acknowledged.
 */
export class Territory {
  readonly jurisdiction: string
  readonly #places: readonly Place[]
  readonly #watch: Watch
  readonly #settling: Settling

  constructor(jurisdiction: string, places: readonly Place[], watch: Watch, settling: Settling) {
    this.jurisdiction = jurisdiction
    this.#places = places
    this.#watch = watch
    this.#settling = settling
  }

  /** @throws UnavailableError (as a rejection) if no location can be reached. */
  async read(id: string): Promise<Entry | undefined> {
    let damaged: unknown
    for (const place of await this.#watch.current()) {
      try {
        return await place.location.read(id)
      } catch (error) {
        if (isUnreadable(error)) damaged = error
        else this.#watch.lost(place)
      }
    }
    throw damaged instanceof Error ? damaged : this.#nobody()
  }

  /** The copy of each location. */
  async readEverywhere(id: string): Promise<readonly (Entry | undefined)[]> {
    const places = await this.#all()
    return Promise.all(places.map((place) => this.#asking(place, place.location.read(id))))
  }

  /** The record, after it was copied to every location. A process may have stopped between the first location and the others. */
  async agree(id: string): Promise<Entry | undefined> {
    const places = await this.#all()
    for (let round = 0; round < 3; round += 1) {
      const copies = await Promise.all(places.map((place) => this.#asking(place, place.location.read(id))))
      if (copies.every((copy) => copy?.stamp === copies[0]?.stamp && copy?.line === copies[0]?.line))
        return copies[0]
      for (const [index, copy] of copies.entries())
        for (const place of places)
          if (copy !== undefined && place !== places[index])
            await this.#asking(place, place.location.take(id, copy, 'copy'))
    }
    throw new UnavailableError(
      `the locations of \`${this.jurisdiction}\` do not agree on a record, because others keep writing it`,
    )
  }

  /**
   * @param everywhere Whether every location must have the change. Default: one is enough.
   * @throws UnavailableError (as a rejection) if the change was not made, or if it is unknown whether it was made.
   */
  async change(change: Change, everywhere = false): Promise<Changed> {
    let failure: unknown
    for (const place of everywhere ? await this.#all() : await this.#watch.current()) {
      let changed: Changed
      try {
        changed = await place.location.change(change)
      } catch (error) {
        this.#watch.lost(place)
        if (everywhere) throw error
        failure = error
        continue
      }
      if (changed.written) return this.#spread(place, change, changed, everywhere)
      // The refusal may be due to this very write, if the location that failed has made it.
      if (failure !== undefined) throw this.#nobody()
      return changed
    }
    throw this.#nobody()
  }

  /**
   * A page of the ids of one bucket, without those of removed records. Removes ids without any record from the lists. One command
   * tells the states of a page, because removed records are many: they keep their revisions for months.
   */
  async ids(bucket: string, cursor: string): Promise<readonly [next: string, ids: readonly string[]]> {
    for (const place of await this.#watch.current()) {
      try {
        const [next, ids] = await place.location.ids(bucket, cursor)
        const states = await place.location.states(bucket, ids)
        await this.#forget(
          bucket,
          ids.filter((_, at) => states[at] === undefined),
        )
        return [next, ids.filter((_, at) => states[at] !== undefined && !REMOVED.has(states[at]))]
      } catch {
        this.#watch.lost(place)
      }
    }
    throw this.#nobody()
  }

  /**
   * Removes ids from the lists of all locations, except those that have a record, or the revision of a removed one, anywhere. The
   * first location, whose list is read, is the last to do so. An id that another location keeps thus stays in it, and is tried
   * again later. So is everything that a location cannot do now.
   */
  async #forget(bucket: string, ids: readonly string[]): Promise<void> {
    if (!this.#places.every(({ isCurrent }) => isCurrent)) return
    let left = ids
    try {
      for (const place of this.#places.toReversed())
        left = await this.#asking(place, place.location.forget(bucket, left))
    } catch {
      // The next list tries again.
    }
  }

  close(): void {
    this.#settling.close()
    this.#watch.close()
  }

  async #all(): Promise<readonly Place[]> {
    const places = await this.#watch.all()
    if (places.length === this.#places.length) return places
    throw new UnavailableError(
      `not every location of \`${this.jurisdiction}\` can be reached, and this needs all of them`,
    )
  }

  /** Copies a write of one location to the others before it is acknowledged. */
  async #spread(from: Place, change: Change, written: Written, everywhere: boolean): Promise<Changed> {
    const { id, stamp, to, move, value } = change
    const { revision, line, sure } = written
    const others = this.#places.filter((place) => place !== from)
    if (others.length === 0) return written
    const losses = new Map(this.#places.map((place) => [place, place.losses]))
    const entry =
      value === undefined
        ? await this.#asking(from, from.location.read(id))
        : { revision, stamp, state: to, move, value, line, sure }
    if (entry?.stamp !== stamp) throw this.#nobody()
    const answers = await Promise.all(others.map((other) => this.#offer(other, id, entry)))
    const holders = [from, ...others.filter((_, index) => answers[index]?.taken !== undefined)]
    const newer = answers.find(({ taken }) => taken?.outcome === 'newer')
    const joined = answers.find(({ taken }) => taken?.outcome === 'joined')
    if (newer !== undefined && joined !== undefined) throw this.#nobody()
    if (newer !== undefined) return this.#giveWay(from, newer.place, id, entry)
    if (holders.length < this.#places.length) {
      await this.#keepWithout(
        others.filter((other) => !holders.includes(other)),
        holders,
        id,
        stamp,
      )
      if (everywhere) throw this.#nobody()
    }
    const now = joined === undefined ? revision : await this.#fetchBack(joined.place, from, id, stamp)
    for (const one of holders)
      for (const other of holders)
        if (one !== other && other.isCurrent)
          this.#settling.add(one, other, id, stamp, losses.get(other) ?? other.losses)
    return { ...written, revision: now }
  }

  /** `taken` is undefined if the place could not be reached. */
  async #offer(
    place: Place,
    id: string,
    entry: Entry,
  ): Promise<{ readonly place: Place; readonly taken?: Taken }> {
    if (!place.isReached) return { place }
    try {
      return { place, taken: await place.location.take(id, entry, 'writer') }
    } catch {
      this.#watch.lost(place)
      return { place }
    }
  }

  /**
   * Prepares for acknowledging a write that some locations lack. They must not be used before they have it, and none of their
   * records may replace it.
   */
  async #keepWithout(
    lacking: readonly Place[],
    holders: readonly Place[],
    id: string,
    stamp: string,
  ): Promise<void> {
    for (const place of lacking) for (const { name } of holders) place.lacksOf.add(name)
    const outcomes = await Promise.all(
      holders.flatMap((holder) => [
        this.#asking(holder, holder.location.makeSure(id, stamp)),
        ...lacking.map(async ({ name }) => {
          await this.#asking(holder, holder.location.noteBehind(name))
          return true
        }),
      ]),
    )
    if (outcomes.includes(false)) throw this.#nobody()
  }

  /** Another location has joined the write with a record of its own. Copies the resulting line back to the first location. */
  async #fetchBack(from: Place, to: Place, id: string, stamp: string): Promise<number> {
    const joined = await this.#asking(from, from.location.read(id))
    if (joined?.stamp !== stamp) throw this.#nobody()
    return (await this.#asking(to, to.location.take(id, joined, 'copy'))).revision
  }

  /**
   * Another location has a record that wins over ours. Ours gives way, unless another write may already have been built on it.
   */
  async #giveWay(from: Place, to: Place, id: string, entry: Entry): Promise<Changed> {
    const theirs = await this.#asking(to, to.location.read(id))
    if (theirs === undefined || theirs.stamp === entry.stamp || covers(theirs.line, entry.line))
      throw this.#nobody()
    const way = { inPlaceOf: entry.stamp }
    const { outcome } = await this.#asking(from, from.location.take(id, theirs, way))
    if (outcome === 'kept' || outcome === 'newer') throw this.#nobody()
    const now = await this.#asking(from, from.location.read(id))
    if (now !== undefined) await this.#asking(to, to.location.take(id, now, 'copy'))
    return {
      written: false,
      revision: now?.revision ?? theirs.revision,
      state: theirs.state,
      move: theirs.move,
    }
  }

  async #asking<T>(place: Place, question: Promise<T>): Promise<T> {
    try {
      return await question
    } catch (error) {
      if (!isUnreadable(error)) this.#watch.lost(place)
      throw error
    }
  }

  #nobody(): UnavailableError {
    return new UnavailableError(`no location of \`${this.jurisdiction}\` can be reached`)
  }
}
