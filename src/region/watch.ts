import { withDeadline } from '../deadline.ts'
import type { Place } from './place.ts'
import { bringBack, sweep } from './repair.ts'
import type { Settling } from './settling.ts'

/** A change in the state of a location, for operators. It names no person. */
export interface LocationNotice {
  readonly jurisdiction: string
  readonly location: string
  /**
   * `lost`: it does not answer. `returned`: it is used again. `foreign`: its server belongs to another location. `empty`: it has
   * lost its data.
   */
  readonly what: 'lost' | 'returned' | 'foreign' | 'empty'
}

export interface WatchSettings {
  readonly jurisdiction: string
  /** How old the known state may be before it is checked again, in milliseconds. */
  readonly checkEvery: number
  /** How long a command may take, in milliseconds. */
  readonly timeout: number
  readonly onNotice: (notice: LocationNotice) => void
}

/** Knows which locations of one jurisdiction can be used, and repairs those that were lost. */
export class Watch {
  readonly #places: readonly Place[]
  readonly #settings: WatchSettings
  readonly #settling: Settling
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  #repairing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(places: readonly Place[], settings: WatchSettings, settling: Settling) {
    this.#places = places
    this.#settings = settings
    this.#settling = settling
  }

  /** The locations that can be used, in the order of the table. */
  async current(): Promise<readonly Place[]> {
    const begun = performance.now()
    const age = begun - this.#lookedAt
    if (age > this.#settings.checkEvery) await (this.#looking ?? this.#look(age === Infinity))
    const places = this.#places.filter((place) => place.isCurrent)
    if (places.length > 0) return places
    return this.#repaired(begun)
  }

  /** All locations, after a repair of those that were lost. Fewer if one of them cannot be used. */
  async all(): Promise<readonly Place[]> {
    const begun = performance.now()
    const places = await this.current()
    if (places.length === this.#places.length) return places
    return this.#repaired(begun)
  }

  /**
   * The locations that can be used after the repair. Waits only so long that one more command fits into three times `timeout`;
   * the repair itself continues.
   */
  async #repaired(begun: number): Promise<readonly Place[]> {
    if (this.#repairing === undefined) await this.#look(true)
    if (this.#repairing !== undefined) {
      const left = begun + 2 * this.#settings.timeout - performance.now()
      await withDeadline(this.#repairing, Math.max(left, 0), 'the repair').catch(() => undefined)
    }
    return this.#places.filter((place) => place.isCurrent)
  }

  lost(place: Place): void {
    if (place.condition === 'current' || place.condition === 'behind') this.#tell(place, 'lost')
    place.lose()
    this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    for (const place of this.#places) place.close()
  }

  /** @param all Whether to include locations that did not answer the last time, which may cost a time-out. */
  #look(all: boolean): Promise<void> {
    return (this.#looking ??= this.#lookAt(
      this.#places.filter((place) => all || place.condition === 'current'),
      this.#lookedAt === Number.NEGATIVE_INFINITY,
    ).finally(() => (this.#looking = undefined)))
  }

  async #lookAt(places: readonly Place[], isFirst: boolean): Promise<void> {
    const startedAt = performance.now()
    const notes = await Promise.all(places.map((place) => this.#ask(place, isFirst)))
    for (const { name, lacking } of notes.flat()) {
      const place = this.#places.find((candidate) => candidate.name === lacking)
      place?.lacksOf.add(name)
      if (place?.condition === 'current') place.condition = 'behind'
    }
    this.#lookedAt = startedAt
    if (this.#places.some((place) => place.condition === 'behind')) {
      this.#repairing ??= this.#repair().finally(() => (this.#repairing = undefined))
    } else if (isFirst) this.#sweep()
    this.#schedule()
  }

  /** Checks one location. Returns which locations lack records of it. */
  async #ask(place: Place, isFirst: boolean): Promise<{ name: string; lacking: string }[]> {
    try {
      const [identity, behind] = await Promise.all([place.location.identity(), place.location.behind()])
      if (identity === 'foreign') {
        if (place.condition !== 'foreign') this.#tell(place, 'foreign')
        place.condition = 'foreign'
        return []
      }
      if (identity === 'new') {
        if (place.isReached) this.#tell(place, 'empty')
        place.isNew = true
        place.condition = 'behind'
      } else if (isFirst) place.condition = 'current'
      else if (place.condition !== 'current') place.condition = 'behind'
      return [...behind.keys()].map((lacking) => ({ name: place.name, lacking }))
    } catch {
      if (place.isReached) this.#tell(place, 'lost')
      place.lose()
      return []
    }
  }

  async #repair(): Promise<void> {
    for (const place of this.#places.filter(({ condition }) => condition === 'behind')) {
      const { losses } = place
      const others = this.#places.filter((other) => other !== place)
      try {
        const isComplete = await bringBack(place, others, this.#settling)
        // It may have been lost during the repair.
        if (isComplete && place.condition === 'behind' && place.losses === losses) {
          place.condition = 'current'
          this.#tell(place, 'returned')
        }
      } catch {
        // The next check starts another repair.
      }
    }
  }

  #sweep(): void {
    const current = this.#places.filter(({ isCurrent }) => isCurrent)
    void sweep(current, this.#settling).catch(() => undefined)
  }

  #schedule(): void {
    if (this.#isClosed || this.#timer !== undefined) return
    if (this.#places.every((place) => place.condition === 'current')) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#look(true)
    }, this.#settings.checkEvery).unref()
  }

  #tell(place: Place, what: LocationNotice['what']): void {
    const { jurisdiction, onNotice } = this.#settings
    try {
      onNotice({ jurisdiction, location: place.name, what })
    } catch {
      // An error of the callback must not affect the request.
    }
  }
}
