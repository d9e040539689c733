/** Stores the secrets of people, sealed: `redisPeople(redis)`, `redisPersonKeys(redis)` or `memoryPeople()`. */
export interface PeopleStore {
  /** The secrets of a person, the oldest first. Most people have one. */
  read(name: string): Promise<readonly string[]>
  /**
   * Adds a secret if there are fewer than `most`. Resolves with all secrets of the person.
   *
   * @param made when the secret was made, in milliseconds since the epoch, if it could not be stored then. Such a secret is not
   * added if the person was erased since, or up to a minute before, because clocks differ. Remember erasures for 90 days
   */
  add(name: string, sealed: string, most: number, made?: number): Promise<readonly string[]>
  /** Replaces `before` with `after` if `before` is still stored; resolves with whether it was. A key rotation needs it. */
  replace(name: string, before: string, after: string): Promise<boolean>
  /** Removes all secrets of a person; resolves with how many there were. */
  erase(name: string): Promise<number>
  /**
   * The names of the people, a few hundred at a time. A person who exists during the whole iteration is returned at least once,
   * perhaps twice.
   */
  names(): AsyncIterable<readonly string[]>
}

/** How long an erasure is remembered, in milliseconds. */
export const ERASURE_KEPT_FOR = 90 * 86_400_000

/** How far the clocks of two processes may differ, in milliseconds. */
const SKEW = 60_000

/** Whether a person was erased after a secret was made, or so shortly before that the clocks cannot tell. */
export function isErasedSince(made: number | undefined, erased: number | undefined): boolean {
  return made !== undefined && erased !== undefined && made <= erased + SKEW
}
