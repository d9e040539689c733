import { HeldList, type HeldListSetting, type SharedList } from './held-list.ts'

export interface Lists {
  /** The lists with these names, each read at least once. Rejects if one could not be read. */
  need(this: void, names: readonly string[]): Promise<readonly SharedList[]>
  changed(this: void, name: string): void
  /** Everything read so far may be out of date. */
  suspectAll(): void
  readonly size: number
  /** Their size in memory, in bytes. */
  readonly bytes: number
}

/**
 * Named lists in memory. Apps that name the same list share it. A changed list is used until the new version is ready, for at
 * most `maxStale` after it was read: reading and compiling a million ranges takes a second, in slices of a millisecond.
 */
export function createLists(setting: HeldListSetting): Lists {
  const { maxStale, now } = setting
  const lists = new Map<string, HeldList>()

  /** Drops lists that no app has used for longer than a policy may live. */
  function forgetUnused(): void {
    for (const [name, { usedAt }] of lists) if (now() - usedAt > 2 * maxStale) lists.delete(name)
  }

  return {
    async need(names) {
      const needed = names.map((name) => {
        const known = lists.get(name)
        if (known !== undefined) return known
        forgetUnused()
        const list = new HeldList(name, setting)
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
