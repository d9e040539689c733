import { PolicyError, RevisionConflict } from '../errors.ts'
import { isListName, parseListEntry, type ListEntry } from '../policy/index.ts'
import type { ChangeNote } from './contract.ts'
import type { ListStore } from './lists.ts'
import { parseNote } from './records.ts'

const CHUNK = 2_000

interface Slot extends ChangeNote {
  /** Counts on after a removal, so that a revision never comes twice. */
  readonly revision: number
  readonly at: string
  readonly entries: readonly ListEntry[] | undefined
}

/** Named lists in the memory of this process. `changed` is told of each that was written or removed. */
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
    if (actual !== replaces) throw new RevisionConflict(name, replaces, actual)
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
          for (let start = 0; start < entries.length; start += CHUNK)
            yield entries.slice(start, start + CHUNK)
        },
      }
    },
    async writeList(name, entries, replaces, note) {
      checkListName(name)
      const by = parseNote(note)
      const copies: ListEntry[] = []
      for await (const entry of entries) copies.push(parseListEntry(entry))
      return replace(name, replaces, copies, by)
    },
    async removeList(name, replaces) {
      if (!isListName(name)) throw new RevisionConflict(String(name), replaces, 0)
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

/** @throws PolicyError */
export function checkListName(name: unknown): asserts name is string {
  if (!isListName(name))
    throw new PolicyError([{ path: 'name', message: 'must be 1-128 characters of A-Z a-z 0-9 . _ : -' }])
}
