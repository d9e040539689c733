import { UnavailableError } from '../errors.ts'

/** Stores sessions and drafts of the console. Everything in it expires, and none of it is a policy in force. */
export interface ConsoleState {
  /** The string stored under this key, or `undefined`. Rejects only if the state cannot be read. */
  read(key: string): Promise<string | undefined>
  /**
   * Atomically replaces `before` with `after` for `lifetime` milliseconds; resolves with whether `before` was stored. `undefined`
   * means no value: as `before` it adds, as `after` it removes.
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

/** How many entries of one kind are kept. The kind is the part of a key before the colon. */
const MOST = 10_000

/** Keeps sessions and drafts in the memory of this process. They are lost when it ends, and other processes do not see them. */
export function memoryConsoleState(now: () => number = Date.now): ConsoleState {
  /** Each kind has its own limit, so that sessions cannot displace drafts. */
  const kinds = new Map<string, Map<string, Slot>>()
  const slotsOf = (key: string): Map<string, Slot> => {
    const kind = key.slice(0, Math.max(key.indexOf(':'), 0))
    const slots = kinds.get(kind) ?? new Map<string, Slot>()
    kinds.set(kind, slots)
    return slots
  }
  const find = (key: string): string | undefined => {
    const slot = slotsOf(key).get(key)
    return slot === undefined || slot.until <= now() ? undefined : slot.value
  }
  return {
    read: async (key) => find(key),
    async replace(key, before, after, lifetime) {
      if (find(key) !== before) return false
      const slots = slotsOf(key)
      if (after === undefined) slots.delete(key)
      else {
        if (slots.size >= MOST && !slots.has(key)) sweep(slots)
        if (slots.size >= MOST && !slots.has(key))
          throw new UnavailableError(`the memory of the console already has ${MOST} entries of this kind`)
        slots.set(key, { value: after, until: now() + lifetime })
      }
      return true
    },
  }

  function sweep(slots: Map<string, Slot>): void {
    for (const [key, { until }] of slots) if (until <= now()) slots.delete(key)
  }
}
