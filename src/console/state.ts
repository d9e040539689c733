import { UnavailableError } from '../errors.ts'

/** Where the console keeps sessions and drafts. Everything has a lifetime, and nothing in it is a policy in force. */
export interface ConsoleState {
  /** The text under this key, or `undefined`. Rejects only when it could not look. */
  read(key: string): Promise<string | undefined>
  /**
   * Puts `after` where `before` is, for `lifetime` milliseconds, in one step; says whether `before` was there.
   * `undefined` stands for nothing: as `before` it adds, as `after` it removes.
   */
  replace(
    key: string,
    before: string | undefined,
    after: string | undefined,
    lifetime: number,
  ): Promise<boolean>
}

interface Slot {
  readonly value: string
  readonly until: number
}

const MOST = 10_000

/** The memory of this process: sessions and drafts end with it, and other processes do not see them. */
export function memoryConsoleState(now: () => number = Date.now): ConsoleState {
  const slots = new Map<string, Slot>()
  const find = (key: string): string | undefined => {
    const slot = slots.get(key)
    return slot === undefined || slot.until <= now() ? undefined : slot.value
  }
  return {
    read: async (key) => find(key),
    async replace(key, before, after, lifetime) {
      if (find(key) !== before) return false
      if (after === undefined) slots.delete(key)
      else {
        if (slots.size >= MOST && !slots.has(key)) sweep()
        if (slots.size >= MOST && !slots.has(key))
          throw new UnavailableError(`the memory of the console has ${MOST} entries already`)
        slots.set(key, { value: after, until: now() + lifetime })
      }
      return true
    },
  }

  function sweep(): void {
    for (const [key, { until }] of slots) if (until <= now()) slots.delete(key)
  }
}
