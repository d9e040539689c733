/** Stores the secrets of people, sealed: `redisPeople(redis)`, `redisPersonKeys(redis)` or `memoryPeople()`. */
export interface PeopleStore {
  /** The secrets of a person, the oldest first. Most people have one. */
  read(name: string): Promise<readonly string[]>
  /** Adds a secret if there are fewer than `most`. Resolves with all secrets of the person. */
  add(name: string, sealed: string, most: number): Promise<readonly string[]>
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
