import { isDisconnected, type RedisClient } from '../redis/client.ts'
import type { Condition, Location } from './location.ts'

/** A location, and what this process knows about it. */
export class Place {
  readonly location: Location
  condition: Condition = 'unknown'
  /** Whether its server has no mark of its location: it is new, or was emptied. */
  isNew = false
  /** Other locations with records that this one lacks. */
  readonly lacksOf = new Set<string>()
  /** How often it was lost. What was known before a loss is no longer valid. */
  losses = 0
  readonly #redis: RedisClient
  readonly #reconnected: () => void

  /**
   * @param reconnected Called when the client has a new connection: it may lead to another server, or the server may have lost
   * data.
   */
  constructor(location: Location, redis: RedisClient, reconnected: (place: Place) => void) {
    this.location = location
    this.#redis = redis
    let isFirst = redis.status !== 'ready'
    this.#reconnected = () => {
      if (!isFirst) reconnected(this)
      isFirst = false
      redis.once?.('ready', this.#reconnected)
    }
    redis.once?.('ready', this.#reconnected)
  }

  get name(): string {
    return this.location.name
  }

  get isCurrent(): boolean {
    // A closed connection is noticed without a command.
    return this.condition === 'current' && !isDisconnected(this.#redis.status)
  }

  get isReached(): boolean {
    return this.condition === 'current' || this.condition === 'behind'
  }

  lose(): void {
    if (this.isReached) this.losses += 1
    this.condition = 'away'
  }

  close(): void {
    this.#redis.removeListener?.('ready', this.#reconnected)
  }
}
