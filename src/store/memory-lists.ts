import { RevisionConflict } from '../errors.ts'
import { isListName } from '../names.ts'
import type { ListEntry } from '../list/entry.ts'
import { parseNote, type ChangeNote } from './change-note.ts'
import { checkedEntries, checkListName, PIECE } from '../list/pieces.ts'
import type { ListStore } from './list-contract.ts'

interface Slot extends ChangeNote {
  /** Continues after a removal, so that no revision is used twice. */
  readonly revision: number
  readonly at: string
  readonly entries: readonly ListEntry[] | undefined
}

/** Named lists in the memory of this process. `changed` is called for each list that is written or removed. */
export function createMemoryLists(changed: (name: string, revision: number) => void): ListStore {
  const slots = new Map<string, Slot>()

  function replace(
    name: string,
    replaces: number,
    entries: readonly ListEntry[] | undefined,
    note: ChangeNote,
  ): number {
    const slot = slots.get(name)
    const actual = slot?.entries === undefined ? 0 : slot.revision
    if (actual !== replaces) throw new RevisionConflict(name, replaces, actual, 'list')
    const revision = (slot?.revision ?? 0) + 1
    slots.set(name, { ...note, revision, at: new Date().toISOString(), entries })
    changed(name, revision)
    return revision
  }

  return {
    async readList(name) {
      const { entries, revision = 0 } = slots.get(name) ?? {}
      if (entries === undefined) return undefined
      return {
        revision,
        size: entries.length,
        async *chunks() {
          for (let start = 0; start < entries.length; start += PIECE)
            yield entries.slice(start, start + PIECE)
        },
      }
    },
    async writeList(name, entries, replaces, note) {
      checkListName(name)
      const by = parseNote(note)
      const copies: ListEntry[] = []
      for await (const piece of checkedEntries(entries)) copies.push(...piece)
      return replace(name, replaces, copies, by)
    },
    async removeList(name, replaces) {
      if (!isListName(name)) throw new RevisionConflict(String(name), replaces, 0, 'list')
      if (replaces === 0 && slots.get(name)?.entries === undefined) return
      replace(name, replaces, undefined, {})
    },
    async lists() {
      return [...slots]
        .flatMap(([name, { entries, ...slot }]) =>
          entries === undefined ? [] : [{ name, ...slot, size: entries.length }],
        )
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}
