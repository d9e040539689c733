import type { Redis } from 'ioredis'

/** Texts by key, with a lifetime where one is given, in milliseconds. Rejects with `StorageUnavailable`. */
export interface Storage {
  get(key: string): Promise<string | undefined>
  put(key: string, value: string, lifetime?: number): Promise<void>
  /** Puts only where there is nothing; says whether it did. */
  add(key: string, value: string, lifetime?: number): Promise<boolean>
  /** Gets and removes in one step: of several callers one gets it. */
  take(key: string): Promise<string | undefined>
  remove(key: string): Promise<void>
}

export class StorageUnavailable extends Error {}

interface Slot {
  readonly value: string
  readonly until: number
}

/** The memory of this process: `max` texts at the most. When it is full nothing more is put in, and nothing is dropped. */
export function memoryStorage({
  now = Date.now,
  max = 100_000,
}: { now?: () => number; max?: number } = {}): Storage {
  const slots = new Map<string, Slot>()
  let sweepAt = 0

  function live(key: string): string | undefined {
    const slot = slots.get(key)
    return slot === undefined || slot.until <= now() ? undefined : slot.value
  }

  function put(key: string, value: string, lifetime = Number.POSITIVE_INFINITY): void {
    const full = slots.size >= max && !slots.has(key)
    if (full || now() >= sweepAt) {
      for (const [old, { until }] of slots) if (until <= now()) slots.delete(old)
      sweepAt = now() + 60_000
    }
    if (full && slots.size >= max) throw new StorageUnavailable(`the memory holds ${max} entries already`)
    slots.set(key, { value, until: now() + lifetime })
  }

  return {
    get: async (key) => live(key),
    put: async (key, value, lifetime) => put(key, value, lifetime),
    async add(key, value, lifetime) {
      if (live(key) !== undefined) return false
      put(key, value, lifetime)
      return true
    },
    async take(key) {
      const value = live(key)
      slots.delete(key)
      return value
    },
    remove: async (key) => void slots.delete(key),
  }
}

/** Redis. */
export function redisStorage(redis: Redis, prefix: string): Storage {
  async function ask<T>(command: Promise<T>): Promise<T> {
    try {
      return await command
    } catch (error) {
      throw new StorageUnavailable('Redis could not be asked', { cause: error })
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
  }
}
