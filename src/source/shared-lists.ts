import { isUnreadable, UnreadableError } from '../errors.ts'
import type { IpAddress } from '../match/ip.ts'
import { createExpiringIpSetBuilder, type ExpiringIpSet } from '../match/expiring-ip-set.ts'
import type { ListEntry } from '../list/entry.ts'
import type { NamedSet } from '../policy/compile.ts'
import { createSlices } from '../slices.ts'
import type { PolicyStore } from '../store/contract.ts'
import type { StoredList } from '../store/list-contract.ts'

const MAX_READS = 5
/** So many ranges are added to a set in a fraction of a millisecond. */
const PIECE = 256

/** A list that guards ask. What it holds is replaced as a whole, under the hands of the apps that name it. */
export interface SharedList extends NamedSet {
  /** Whether it may be asked: it was read, no longer ago than `maxStale`. Reads it again in the background in time. */
  usable(at: number): boolean
}

export interface Lists {
  /** The lists of these names, each read at least once. Rejects when one could not be. */
  need(names: readonly string[]): Promise<readonly SharedList[]>
  changed(name: string): void
  /** Whatever was read until now may be out of date. */
  suspectAll(): void
  readonly size: number
  /** What they take in memory. */
  readonly bytes: number
}

interface Setting {
  readonly store: PolicyStore
  readonly maxStale: number
  /** After how long a list is read again. */
  readonly revalidateAfter: () => number
  readonly retryAfter: number
  readonly now: () => number
  ask<T>(question: () => PromiseLike<T>): Promise<T>
  report(error: Error): void
}

/**
 * Named lists in memory, each once, however many apps name it. A list that changed is used until the new one is ready, for
 * at most `maxStale` after it was read: a million ranges take a second to read and to compile, which happens in slices of a
 * millisecond.
 */
export function createLists({
  store,
  maxStale,
  revalidateAfter,
  retryAfter,
  now,
  ask,
  report,
}: Setting): Lists {
  const lists = new Map<string, ReturnType<typeof createList>>()

  function createList(name: string) {
    let set: ExpiringIpSet | undefined
    let revision = 0
    let version: string | undefined
    let readAt = Number.NEGATIVE_INFINITY
    let usedAt = now()
    let retryAt = 0
    let outdated = true
    let suspect = false
    let flight: Promise<void> | undefined

    function reload(): Promise<void> {
      flight ??= readUntilCurrent().finally(() => (flight = undefined))
      return flight
    }

    async function readUntilCurrent(): Promise<void> {
      for (let reads = 1; ; reads += 1) {
        const [begunAt, wasSuspect] = [now(), suspect]
        outdated = suspect = false
        let found = false
        try {
          const stored = await ask(() => store.readList?.(name) ?? Promise.resolve(undefined))
          found = true
          if (stored === undefined) [set, revision] = [undefined, 0]
          // After a gap in the feed the same number may stand for another content.
          else if (
            stored.revision !== revision ||
            stored.version !== version ||
            set === undefined ||
            wasSuspect
          ) {
            set = await compile(stored)
            ;({ revision, version } = stored)
          }
          readAt = begunAt
        } catch (error) {
          outdated = true
          suspect ||= wasSuspect
          // The list was there: it may have been replaced while it was read. If the store is away, the next look says so.
          if (found && !isUnreadable(error) && reads < MAX_READS) continue
          throw error
        }
        if (!outdated || reads === MAX_READS) return
      }
    }

    async function compile(stored: StoredList): Promise<ExpiringIpSet> {
      const builder = createExpiringIpSetBuilder()
      const slices = createSlices()
      for await (const chunk of asked(stored)) {
        for (const [index, { range, expires }] of chunk.entries()) {
          const moment = expires === undefined ? undefined : Date.parse(expires)
          if (Number.isNaN(moment)) throw new UnreadableError('a stored list holds what is no moment')
          if (builder.add(range, moment) !== undefined)
            throw new UnreadableError('a stored list holds what is no range')
          // A store of somebody's own may hand over all at once.
          if (index % PIECE === PIECE - 1 && slices.over) await slices.next()
        }
        if (slices.over) await slices.next()
      }
      const steps = builder.finish()
      for (;;) {
        const step = steps.next()
        if (step.done === true) return step.value
        if (slices.over) await slices.next()
      }
    }

    /** The chunks, each of which the store is asked for as for everything else. */
    async function* asked(stored: StoredList): AsyncGenerator<readonly ListEntry[]> {
      const chunks = stored.chunks()[Symbol.asyncIterator]()
      try {
        for (;;) {
          const chunk = await ask(() => chunks.next())
          if (chunk.done === true) return
          yield chunk.value
        }
      } finally {
        // A file may be open. Nobody waits for one that does not answer.
        chunks.return?.().catch(() => undefined)
      }
    }

    return {
      name,
      get exists() {
        return set !== undefined
      },
      find: (address: IpAddress, at: number) => set?.find(address, at),
      get bytes() {
        return set?.bytes ?? 0
      },
      get usedAt() {
        return usedAt
      },
      changed(isSuspect: boolean) {
        outdated = true
        suspect ||= isSuspect
        if (readAt !== Number.NEGATIVE_INFINITY) reloadSoon(now())
      },
      usable,
      async need() {
        if (!usable(now())) await reload()
      },
    }

    function usable(at: number): boolean {
      usedAt = at
      const age = at - readAt
      if (age > maxStale) return false
      if ((outdated || age > revalidateAfter()) && at >= retryAt) reloadSoon(at)
      return true
    }

    function reloadSoon(at: number): void {
      retryAt = at + retryAfter * (0.5 + Math.random())
      if (flight === undefined) reload().catch(report)
    }
  }

  /** Lists that no app has asked for longer than a policy may live. */
  function forgetUnused(): void {
    for (const [name, { usedAt }] of lists) if (now() - usedAt > 2 * maxStale) lists.delete(name)
  }

  return {
    async need(names) {
      const needed = names.map((name) => {
        const known = lists.get(name)
        if (known !== undefined) return known
        forgetUnused()
        const list = createList(name)
        lists.set(name, list)
        return list
      })
      await Promise.all(needed.map((list) => list.need()))
      return needed
    },
    changed: (name) => lists.get(name)?.changed(false),
    suspectAll() {
      for (const list of lists.values()) list.changed(true)
    },
    get size() {
      return lists.size
    },
    get bytes() {
      return [...lists.values()].reduce((sum, { bytes }) => sum + bytes, 0)
    },
  }
}
