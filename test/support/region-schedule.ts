import { setImmediate as turn } from 'node:timers/promises'
import type { RedisClient } from '../../src/redis/client.ts'
import { seededRandom } from './seeded.ts'
import type { PlaceName } from './region.ts'

interface Waiting {
  readonly actor: string
  readonly go: () => Promise<void>
}

/**
 * Holds the commands of several actors for one record, and releases them one at a time in a chosen order, so that every
 * order in which servers may receive them can be tested.
 */
export class Schedule {
  #waiting: Waiting[] = []
  #isOpen = true
  #running = 0
  /** The number of commands after which an actor ends. `isSent`: whether its last command reaches the server. */
  readonly #ends = new Map<string, { left: number; readonly isSent: boolean }>()

  /** A client of an actor. With `isAway`, none of its commands arrive. */
  client(actor: string, place: PlaceName, redis: RedisClient, isAway = false): RedisClient {
    return {
      call: (name, ...args) => {
        if (isAway) return Promise.reject(new Error(`${place} is away`))
        const ask = async (): Promise<unknown> => {
          this.#running += 1
          return redis.call(name, ...args).finally(() => (this.#running -= 1))
        }
        return this.#isOpen ? ask() : this.#held(actor, ask)
      },
      duplicate: () => redis.duplicate(),
      status: 'ready',
    }
  }

  /**
   * Runs all actors to their end.
   *
   * @param choose Chooses the next of this many commands.
   * @param ends The actor that ends like a killed process, and when.
   */
  async run(
    actors: Readonly<Record<string, () => Promise<void>>>,
    choose: (count: number) => number,
    ends?: { readonly actor: string; readonly after: number; readonly isSent: boolean },
  ): Promise<void> {
    this.#isOpen = false
    this.#ends.clear()
    if (ends !== undefined) this.#ends.set(ends.actor, { left: ends.after, isSent: ends.isSent })
    const ended = Object.values(actors).map((act) => act())
    for (;;) {
      await this.quiet()
      const next = this.#waiting.splice(choose(this.#waiting.length), 1)[0]
      if (next === undefined) break
      await next.go()
    }
    this.#isOpen = true
    if (ends === undefined) await Promise.all(ended)
  }

  #held(actor: string, ask: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const go = async (): Promise<void> => {
        const end = this.#ends.get(actor)
        if (end !== undefined && (end.left -= 1) < 0) {
          if (end.left === -1 && end.isSent) await ask()
          return // and nobody receives the answer
        }
        await ask().then(resolve, reject)
      }
      this.#waiting.push({ actor, go })
    })
  }

  /** Waits until each actor waits or has ended, and nothing is in flight. */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < 4; turns += 1) {
      await turn()
      if (this.#running > 0) turns = 0
    }
  }
}

/** Every sequence of choices, starting with all zeros, or random ones if there are too many. */
export function eachOrder(most: number, seed: number): Iterable<(count: number) => number> {
  return {
    *[Symbol.iterator]() {
      let taken: { chosen: number; of: number }[] = []
      for (let run = 0; run < most / 2; run += 1) {
        let at = 0
        yield (count) => {
          const choice = (taken[at] ??= { chosen: 0, of: count })
          at += 1
          choice.of = count
          return Math.min(choice.chosen, Math.max(count - 1, 0))
        }
        taken = taken.slice(0, at)
        while (
          taken.length > 0 &&
          (taken.at(-1) as { chosen: number; of: number }).chosen + 1 >= (taken.at(-1) as { of: number }).of
        )
          taken.pop()
        const last = taken.at(-1)
        if (last === undefined) return
        last.chosen += 1
      }
      const random = seededRandom(seed)
      for (let run = 0; run < most / 2; run += 1) yield (count) => Math.floor(random() * count)
    },
  }
}
