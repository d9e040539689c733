import { UnavailableError, isUnreadable } from '../errors.ts'
import type { Entry } from './entry.ts'
import type { Change, Changed } from './location.ts'
import type { Place } from './place.ts'
import { Settling } from './settling.ts'
import type { Watch } from './watch.ts'

/**
 * The locations of one jurisdiction, as one store. It knows no other location: what it cannot do here it refuses.
 *
 * The first location that is current is asked. Each write is decided there, and then taken by the others; a write that another
 * location could not take is owed to it, and noted before it is acknowledged.
 */
export class Territory {
  readonly jurisdiction: string
  readonly #places: readonly Place[]
  readonly #watch: Watch
  readonly #settling = new Settling()

  constructor(jurisdiction: string, places: readonly Place[], watch: Watch) {
    this.jurisdiction = jurisdiction
    this.#places = places
    this.#watch = watch
  }

  /** @throws UnavailableError (as a rejection) when no location can be asked. */
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

  /** Each location's own copy. */
  async readEverywhere(id: string): Promise<readonly (Entry | undefined)[]> {
    const places = await this.#all()
    return Promise.all(places.map((place) => this.#asking(place, place.location.read(id))))
  }

  /** The record, after every location has got it: a process may have ended between the first location and the others. */
  async agree(id: string): Promise<Entry | undefined> {
    const places = await this.#all()
    const copies = await this.readEverywhere(id)
    const latest = copies.reduce((one, other) => (isLater(other, one) ? other : one), undefined)
    if (latest === undefined) return undefined
    const late = places.filter((_, index) => copies[index]?.stamp !== latest.stamp)
    const outcomes = await Promise.all(
      late.map((place) => this.#asking(place, place.location.take(id, latest, 'copy'))),
    )
    return outcomes.includes('newer') ? this.read(id) : latest
  }

  /**
   * @param everywhere Whether every location must take it. Default: one is enough.
   * @throws UnavailableError (as a rejection) when it was not taken, or may have been taken and nobody can say so.
   */
  async change(change: Change, everywhere = false): Promise<Changed> {
    for (const place of everywhere ? await this.#all() : await this.#watch.current()) {
      let changed: Changed
      try {
        changed = await place.location.change(change)
      } catch (error) {
        this.#watch.lost(place)
        if (everywhere) throw error
        continue
      }
      return changed.written ? this.#spread(place, change, changed, everywhere) : changed
    }
    throw this.#nobody()
  }

  /** A page of ids of one bucket. */
  async ids(bucket: string, cursor: string): Promise<readonly [next: string, ids: readonly string[]]> {
    for (const place of await this.#watch.current()) {
      try {
        return await place.location.ids(bucket, cursor)
      } catch {
        this.#watch.lost(place)
      }
    }
    throw this.#nobody()
  }

  close(): void {
    this.#settling.close()
    this.#watch.close()
  }

  async #all(): Promise<readonly Place[]> {
    const places = await this.#watch.all()
    if (places.length === this.#places.length) return places
    throw new UnavailableError(
      `not every location of \`${this.jurisdiction}\` can be reached, and all are needed`,
    )
  }

  /** Has the other locations take what one has accepted. */
  async #spread(from: Place, change: Change, changed: Changed, everywhere: boolean): Promise<Changed> {
    const { id, stamp, to, move, value } = change
    const { revision } = changed
    const others = this.#places.filter((place) => place !== from)
    if (others.length === 0) return changed
    const entry =
      value === undefined
        ? await this.#asking(from, from.location.read(id))
        : { revision, stamp, state: to, move, value }
    if (entry === undefined) throw this.#nobody()
    const answers = await Promise.all(others.map((other) => this.#mirror(from, other, id, entry, everywhere)))
    return answers.find((answer) => answer !== undefined) ?? changed
  }

  /** What the write came to instead, where it was built on an old record. */
  async #mirror(
    from: Place,
    to: Place,
    id: string,
    entry: Entry,
    everywhere: boolean,
  ): Promise<Changed | undefined> {
    let failure: unknown = this.#nobody()
    if (to.isReached) {
      try {
        const isCurrent = to.isCurrent
        const outcome = await to.location.take(id, entry, 'writer')
        if (outcome !== 'newer') {
          if (isCurrent) this.#settling.add(from, to, id, entry.stamp)
          return undefined
        }
        failure = undefined
      } catch (error) {
        failure = error
        this.#watch.lost(to)
      }
    }
    if (failure === undefined) return this.#giveWay(from, to, id, entry)
    // Before the write is acknowledged: the other location must not be asked as long as it lacks this.
    to.lacksOf.add(from.name)
    await this.#asking(from, from.location.noteBehind(to.name))
    if (everywhere) throw failure
    return undefined
  }

  /** Another location has a record that ours was not built on: ours is taken back, unless others were built on it already. */
  async #giveWay(from: Place, to: Place, id: string, entry: Entry): Promise<Changed | undefined> {
    const theirs = await this.#asking(to, to.location.read(id))
    // The other writer may have given way first.
    if (theirs === undefined || theirs.stamp === entry.stamp) return undefined
    const outcome = await this.#asking(from, from.location.replace(id, theirs, entry.stamp))
    if (outcome === 'kept') return undefined
    if ((await this.#converge(from, to, id)) === entry.stamp) return undefined
    return { written: false, revision: theirs.revision, state: theirs.state, move: theirs.move }
  }

  /**
   * Two writers that gave way to each other at once have left each the record of the other: the later stays. Answers with the name
   * of the write that stays.
   */
  async #converge(from: Place, to: Place, id: string): Promise<string | undefined> {
    const ours = await this.#asking(from, from.location.read(id))
    const theirs = await this.#asking(to, to.location.read(id))
    if (ours === undefined || theirs === undefined || ours.stamp === theirs.stamp) return ours?.stamp
    const [behind, latest] = isLater(ours, theirs) ? [to, ours] : [from, theirs]
    await this.#asking(behind, behind.location.take(id, latest, 'copy'))
    return latest.stamp
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

function isLater(one: Entry | undefined, other: Entry | undefined): boolean {
  if (one === undefined || other === undefined) return one !== undefined
  return one.revision === other.revision ? one.stamp > other.stamp : one.revision > other.revision
}
