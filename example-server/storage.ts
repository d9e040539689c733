import type { Redis } from 'ioredis'
import type { Outage } from './log.ts'

/** Strings by key, with an optional lifetime in milliseconds. Rejects with `StorageUnavailable`. */
export interface Storage {
  get(key: string): Promise<string | undefined>
  put(key: string, value: string, lifetime?: number): Promise<void>
  /** Stores the value if the key is free. Resolves with whether it did. */
  add(key: string, value: string, lifetime?: number): Promise<boolean>
  /** Gets and removes the value in one step, so only one of several callers gets it. */
  take(key: string): Promise<string | undefined>
  remove(key: string): Promise<void>
  /** Removes the value if it is still `before`. Resolves with whether it did. */
  discard(key: string, before: string): Promise<boolean>
  /** Replaces `before` with `after` if it is still stored, and keeps the lifetime. Resolves with whether it did. */
  swap(key: string, before: string, after: string): Promise<boolean>
  /** Sets a new lifetime if the key exists. Resolves with whether it does. Never restores a removed key. */
  extend(key: string, lifetime: number): Promise<boolean>
  /**
   * Stores a named string under a key. All strings of a key expire together, and each new one extends their lifetime.
   */
  putEntry(key: string, name: string, value: string, lifetime: number): Promise<void>
  entries(key: string): Promise<ReadonlyMap<string, string>>
  removeEntry(key: string, name: string): Promise<void>
}

export class StorageUnavailable extends Error {}

interface Slot<Value = string> {
  readonly value: Value
  readonly until: number
}

/**
 * Storage in the memory of this process, with at most `max` keys of each kind. The kind is the text before the first
 * colon. If a kind is full, further keys of it are refused and none is dropped, so strangers cannot take space from
 * people.
 */
export function memoryStorage({
  now = Date.now,
  max = 50_000,
}: { now?: () => number; max?: number } = {}): Storage {
  const texts = createShelves<string>(now, max)
  const maps = createShelves<Map<string, string>>(now, max)
  return {
    get: async (key) => texts.get(key)?.value,
    put: async (key, value, lifetime) => texts.put(key, value, lifetime),
    async add(key, value, lifetime) {
      if (texts.get(key) !== undefined) return false
      texts.put(key, value, lifetime)
      return true
    },
    async take(key) {
      const slot = texts.get(key)
      texts.remove(key)
      return slot?.value
    },
    remove: async (key) => texts.remove(key),
    async discard(key, before) {
      const isThere = texts.get(key)?.value === before
      if (isThere) texts.remove(key)
      return isThere
    },
    async swap(key, before, after) {
      const slot = texts.get(key)
      if (slot?.value !== before) return false
      texts.put(key, after, slot.until - now())
      return true
    },
    async extend(key, lifetime) {
      const slot = texts.get(key)
      if (slot !== undefined) texts.put(key, slot.value, lifetime)
      return slot !== undefined
    },
    async putEntry(key, name, value, lifetime) {
      maps.put(key, new Map([...(maps.get(key)?.value ?? []), [name, value]]), lifetime)
    },
    entries: async (key) => maps.get(key)?.value ?? new Map(),
    removeEntry: async (key, name) => void maps.get(key)?.value.delete(name),
  }
}

/** Values by key, with a map of bounded size for each kind of key. */
function createShelves<Value>(now: () => number, max: number) {
  const shelves = new Map<string, Map<string, Slot<Value>>>()
  const shelfOf = (key: string): Map<string, Slot<Value>> => {
    const kind = key.slice(0, key.indexOf(':'))
    const shelf = shelves.get(kind) ?? new Map<string, Slot<Value>>()
    shelves.set(kind, shelf)
    return shelf
  }
  let sweepAt = 0

  function sweep(shelf: Map<string, Slot<Value>>): void {
    for (const [old, { until }] of shelf) if (until <= now()) shelf.delete(old)
  }

  return {
    get(key: string): Slot<Value> | undefined {
      const slot = shelfOf(key).get(key)
      return slot === undefined || slot.until <= now() ? undefined : slot
    },
    put(key: string, value: Value, lifetime = Number.POSITIVE_INFINITY): void {
      const shelf = shelfOf(key)
      if (now() >= sweepAt) {
        for (const each of shelves.values()) sweep(each)
        sweepAt = now() + 60_000
      }
      const full = (): boolean => shelf.size >= max && !shelf.has(key)
      if (full()) sweep(shelf)
      if (full()) throw new StorageUnavailable(`memory is full: it already has ${max} keys of this kind`)
      shelf.set(key, { value, until: now() + lifetime })
    },
    remove: (key: string): void => void shelfOf(key).delete(key),
  }
}

export const SWAP = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`

const DISCARD = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

/** Sets a field and the expiry in one step, so no hash remains forever. */
const PUT_ENTRY = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])`

/** Storage in Redis. Reports to `outage` when Redis is unreachable, and when it answers. */
export function redisStorage(
  redis: Redis,
  prefix: string,
  outage: Outage = { away: () => undefined, back: () => undefined },
): Storage {
  async function ask<T>(command: Promise<T>): Promise<T> {
    try {
      const answer = await command
      outage.back()
      return answer
    } catch (error) {
      outage.away(error)
      throw new StorageUnavailable('Redis could not be reached', { cause: error })
    }
  }
  const expiry = (lifetime: number | undefined): ['PX', number] | [] =>
    lifetime === undefined ? [] : ['PX', lifetime]
  return {
    get: async (key) => (await ask(redis.get(prefix + key))) ?? undefined,
    put: async (key, value, lifetime) =>
      void (await ask(redis.call('SET', prefix + key, value, ...expiry(lifetime)))),
    add: async (key, value, lifetime) =>
      (await ask(redis.call('SET', prefix + key, value, ...expiry(lifetime), 'NX'))) === 'OK',
    take: async (key) => (await ask(redis.getdel(prefix + key))) ?? undefined,
    remove: async (key) => void (await ask(redis.del(prefix + key))),
    discard: async (key, before) => (await ask(redis.eval(DISCARD, 1, prefix + key, before))) === 1,
    swap: async (key, before, after) => (await ask(redis.eval(SWAP, 1, prefix + key, before, after))) === 1,
    extend: async (key, lifetime) => (await ask(redis.pexpire(prefix + key, lifetime))) === 1,
    putEntry: async (key, name, value, lifetime) =>
      void (await ask(redis.eval(PUT_ENTRY, 1, prefix + key, name, value, lifetime))),
    entries: async (key) => new Map(Object.entries(await ask(redis.hgetall(prefix + key)))),
    removeEntry: async (key, name) => void (await ask(redis.hdel(prefix + key, name))),
  }
}
