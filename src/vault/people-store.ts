/** Where the secrets of people are kept, sealed: `redisPeople(redis)`, `redisPersonKeys(redis)` or `memoryPeople()`. */
export interface PeopleStore {
  /** The secrets of a person, the oldest first. Most people have one. */
  read(name: string): Promise<readonly string[]>
  /** Adds a secret, if there are fewer than `most`; resolves with all of them then. */
  add(name: string, sealed: string, most: number): Promise<readonly string[]>
  /** Puts `after` in the place of `before`, if that is still there; resolves with whether it was. A key rotation needs it. */
  replace(name: string, before: string, after: string): Promise<boolean>
  /** Removes all secrets of a person; resolves with how many there were. */
  erase(name: string): Promise<number>
  /** The people, some hundreds at a time. Someone who is there all the while is among them, perhaps twice. */
  names(): AsyncIterable<readonly string[]>
}
