import type { ConsoleState } from 'portcullis/console'
import type { Storage } from './storage.ts'

/** Marks a removed value until its key is deleted, because `swap` needs a value to write. */
const GONE = ''

/** Stores sessions and drafts of the console in the gateway's storage, which all its processes share. */
export function consoleStateOf(storage: Storage): ConsoleState {
  const place = (key: string): string => `console:${key}`
  return {
    async read(key) {
      const text = await storage.get(place(key))
      return text === GONE ? undefined : text
    },
    async replace(key, before, after, lifetime) {
      const swapped =
        (before === undefined && after !== undefined && (await storage.add(place(key), after, lifetime))) ||
        (await storage.swap(place(key), before ?? GONE, after ?? GONE))
      if (!swapped) return before === undefined && after === undefined
      if (after === undefined) await storage.remove(place(key))
      else await storage.extend(place(key), lifetime)
      return true
    },
  }
}
