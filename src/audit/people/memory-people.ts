import type { PeopleStore } from './people.ts'

/** Keeps the secrets of people in the memory of this process: for tests, and for `memoryFrames`. */
export function memoryPeople(): PeopleStore {
  const secrets = new Map<string, readonly string[]>()
  return {
    read: async (name) => secrets.get(name) ?? [],
    async add(name, sealed, most) {
      const all = secrets.get(name) ?? []
      if (all.length >= most || all.includes(sealed)) return all
      secrets.set(name, [...all, sealed])
      return [...all, sealed]
    },
    async erase(name) {
      const count = secrets.get(name)?.length ?? 0
      secrets.delete(name)
      return count
    },
  }
}
