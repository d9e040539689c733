import { isErasedSince, type PeopleStore } from './people-store.ts'

const BATCH = 500

/** Keeps the secrets of people in the memory of this process, for tests and for `memoryFrames`. */
export function memoryPeople(): PeopleStore {
  const secrets = new Map<string, readonly string[]>()
  /** When people were erased. */
  const erasures = new Map<string, number>()
  return {
    read: async (name) => secrets.get(name) ?? [],
    async add(name, sealed, most, made) {
      const all = secrets.get(name) ?? []
      if (isErasedSince(made, erasures.get(name))) return all
      if (all.length >= most || all.includes(sealed)) return all
      secrets.set(name, [...all, sealed])
      return [...all, sealed]
    },
    async replace(name, before, after) {
      const all = secrets.get(name)
      if (all?.includes(before) !== true) return false
      secrets.set(
        name,
        all.map((each) => (each === before ? after : each)),
      )
      return true
    },
    async erase(name) {
      const count = secrets.get(name)?.length ?? 0
      secrets.delete(name)
      erasures.set(name, Date.now())
      return count
    },
    async *names() {
      const all = [...secrets.keys()]
      for (let from = 0; from < all.length; from += BATCH) yield all.slice(from, from + BATCH)
    },
  }
}
