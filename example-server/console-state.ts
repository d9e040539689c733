import type { ConsoleState } from 'portcullis/console'
import type { Storage } from './storage.ts'

/** What stands in the place of something that was removed, until it is away: nothing cannot be swapped in. */
const GONE = ''

/** Keeps sessions and drafts of the console where the gateway keeps its own, so that all its processes have them. */
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
