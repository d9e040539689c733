import { mkdir, readFile, realpath, stat } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { isPortcullisError, RevisionConflict, UnavailableError } from '../../errors.ts'
import { parseNote } from '../change-note.ts'
import { isListName } from '../../names.ts'
import { writeLine } from '../../list/text.ts'
import type { ListEntry } from '../../list/entry.ts'
import type { ChangeNote, StoreListener } from '../contract.ts'
import { noteFromFile, noteInFile } from './content.ts'
import {
  countEntries,
  findList,
  formatHead,
  readEntries,
  type FoundList,
  type ListHead,
} from './list-content.ts'
import { createListWatch, listNames, listPath, type ListWatch } from './list-watch.ts'
import { lockFile, sweepBeside } from './lock.ts'
import { checkedEntries, checkListName } from '../../list/pieces.ts'
import type { ListStore, ListSummary, StoredList } from '../list-contract.ts'
import type { Sealing } from '../sealing.ts'
import type { SealedBatch } from '../../vault/reseal.ts'

/** How often a write is tried again if the file changes meanwhile. */
const MAX_WRITES = 5
/** How many characters are written at once. */
const BLOCK = 65_536

/** The new content of a list. */
interface Body {
  readonly entries: number
  readonly bytes: number
  readonly blocks: readonly Uint8Array[]
}

/** Named lists in the directory `<policies>.lists`, one text file for each, which people may edit. */
export class FileLists implements ListStore {
  readonly #policies: string
  readonly #sealing: Sealing
  readonly #directory: string
  readonly #watching: ListWatch
  /** The number of entries of each edited file. */
  readonly #counts = new Map<string, { readonly signature: string; readonly size: number }>()

  constructor(policies: string, sealing: Sealing) {
    this.#policies = policies
    this.#sealing = sealing
    this.#directory = `${policies}.lists`
    this.#watching = createListWatch(this.#directory)
  }

  watch(listener: StoreListener): () => void {
    return this.#watching.watch(listener)
  }

  close(): void {
    this.#watching.close()
  }

  async readList(name: string): Promise<StoredList | undefined> {
    if (!isListName(name)) return undefined
    const found = await this.#find(name)
    if (found === undefined || found.head.removed === true) return undefined
    const { head, signature, isSettled } = found
    return {
      revision: head.revision,
      // Two changes within `GRAIN` may have the same signature, so the signature cannot be the version yet.
      version: isSettled ? signature : randomUUID(),
      size: await this.#sizeOf(name, found),
      chunks: () => readEntries(listPath(this.#directory, name), found),
    }
  }

  async writeList(
    name: string,
    entries: Iterable<ListEntry> | AsyncIterable<ListEntry>,
    replaces: number,
    note?: ChangeNote,
  ): Promise<number> {
    checkListName(name)
    const by = parseNote(note)
    // Checked first, so that a million entries are not read in vain.
    checkRevision(name, await this.#find(name), replaces)
    return this.#replace(name, replaces, by, await bodyOf(entries))
  }

  async removeList(name: string, replaces: number): Promise<void> {
    if (!isListName(name)) throw new RevisionConflict(String(name), replaces, 0, 'list')
    // There is no list, and the caller expected none.
    if (replaces === 0 && revisionOf(await this.#find(name)) === 0) return
    await this.#replace(name, replaces, {}, undefined)
  }

  async lists(): Promise<readonly ListSummary[]> {
    return (await Promise.all((await this.#names()).map((name) => this.#summary(name)))).flat()
  }

  #names(): Promise<readonly string[]> {
    return listNames(this.#directory).catch((error: NodeJS.ErrnoException) => {
      throw new UnavailableError(
        `the directory \`${this.#directory}\` cannot be read: ${error.code ?? error.name}`,
      )
    })
  }

  /** The author and note of each list, for `reseal`. */
  async *sealedNotes(): AsyncGenerator<SealedBatch> {
    for (const name of await this.#names()) {
      const found = await this.#find(name)
      const sealed = found?.head.by
      if (sealed === undefined) continue
      yield {
        entries: [{ sealed, context: `change-note:${name}` }],
        replace: async ([change]) =>
          change?.after !== undefined && (await this.#replaceNote(name, sealed, change.after)) ? 1 : 0,
      }
    }
  }

  /** Writes a list unchanged, but with another note. Resolves with whether the old note was still there. */
  async #replaceNote(name: string, before: string, after: string): Promise<boolean> {
    return this.#reporting(name, () =>
      this.#underLock(name, async (found, path) => {
        if (found?.head.by !== before) return undefined
        const body = (await readFile(path)).subarray(found.start)
        return { blocks: [formatHead({ ...found.head, by: after }).trimEnd(), body], result: true }
      }),
    ).then((replaced) => replaced === true)
  }

  #find(name: string): Promise<FoundList | undefined> {
    return findList(listPath(this.#directory, name))
  }

  async #sizeOf(name: string, found: FoundList): Promise<number> {
    if (found.isWhole && found.head.entries !== undefined) return found.head.entries
    const known = this.#counts.get(name)
    if (found.isSettled && known?.signature === found.signature) return known.size
    const size = await countEntries(listPath(this.#directory, name), found)
    this.#counts.set(name, { signature: found.signature, size })
    return size
  }

  /** Without a body the list is removed. */
  async #replace(name: string, replaces: number, note: ChangeNote, body: Body | undefined): Promise<number> {
    const head = noteInFile(this.#sealing, name, note)
    return this.#reporting(name, () => this.#replaceLocked(name, replaces, head, body))
  }

  async #reporting<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isPortcullisError(error)) throw error
      const { code, name: kind } = error as NodeJS.ErrnoException
      throw new UnavailableError(
        `the list \`${name}\` cannot be written below \`${this.#directory}\`: ${code ?? kind}`,
      )
    } finally {
      // Listeners are informed before the write returns.
      await this.#watching.check()
    }
  }

  async #replaceLocked(
    name: string,
    replaces: number,
    note: Partial<ListHead>,
    body: Body | undefined,
  ): Promise<number> {
    const { entries, bytes, blocks = [] } = body ?? { entries: 0, bytes: 0 }
    const removed = body === undefined ? true : undefined
    const written = await this.#underLock(name, async (before) => {
      checkRevision(name, before, replaces)
      const revision = (before?.head.revision ?? 0) + 1
      const head = formatHead({ revision, entries, bytes, at: new Date().toISOString(), ...note, removed })
      return { blocks: [head, ...blocks], result: revision }
    })
    return written as number
  }

  /**
   * Replaces the file of a list with the result of `make`, which runs again if someone else changed the file meanwhile. If `make`
   * returns `undefined`, nothing is written.
   */
  async #underLock<T>(
    name: string,
    make: (
      before: FoundList | undefined,
      path: string,
    ) => Promise<{ readonly blocks: readonly (string | Uint8Array)[]; readonly result: T } | undefined>,
  ): Promise<T | undefined> {
    await this.#makeDirectory()
    const path = listPath(this.#directory, name)
    const target = await realpath(path).catch(() => path)
    await sweepBeside(target)
    const lock = await lockFile(target)
    try {
      for (let writes = 0; writes < MAX_WRITES; writes += 1) {
        const before = await this.#find(name)
        const made = await make(before, path)
        if (made === undefined) return undefined
        await lock.prepare(made.blocks, before === undefined ? this.#policies : target)
        // Editors do not use the lock.
        if ((await this.#find(name))?.signature !== before?.signature) continue
        await lock.commit()
        return made.result
      }
      throw new UnavailableError(`the list \`${name}\` changes faster than it can be written`)
    } finally {
      await lock.release()
    }
  }

  /** Accounts that may read the policies may read the lists. */
  async #makeDirectory(): Promise<void> {
    const mode = (await stat(this.#policies)).mode & 0o777
    await mkdir(this.#directory, { recursive: true, mode: mode | ((mode & 0o444) >> 2) })
  }

  async #summary(name: string): Promise<ListSummary[]> {
    const found = await this.#find(name)
    if (found === undefined || found.head.removed === true) return []
    const { revision, at = found.changedAt, author, note, by } = found.head
    const size = await this.#sizeOf(name, found)
    return [{ name, revision, size, at, ...noteFromFile(this.#sealing, name, { author, note, by }) }]
  }
}

/** Collects a list as text, which takes a tenth of the memory of its entries. */
async function bodyOf(entries: Iterable<ListEntry> | AsyncIterable<ListEntry>): Promise<Body> {
  const blocks: Buffer[] = []
  let [size, text] = [0, '']
  const flush = (): void => {
    blocks.push(Buffer.from(text))
    text = ''
  }
  for await (const piece of checkedEntries(entries)) {
    for (const entry of piece) text += writeLine(entry)
    size += piece.length
    if (text.length >= BLOCK) flush()
  }
  flush()
  return { entries: size, bytes: blocks.reduce((sum, { length }) => sum + length, 0), blocks }
}

function revisionOf(found: FoundList | undefined): number {
  return found === undefined || found.head.removed === true ? 0 : found.head.revision
}

/** @throws RevisionConflict */
function checkRevision(name: string, found: FoundList | undefined, replaces: number): void {
  const actual = revisionOf(found)
  if (actual !== replaces) throw new RevisionConflict(name, replaces, actual, 'list')
}
