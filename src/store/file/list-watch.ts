import { watch, type FSWatcher } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isListName } from '../../names.ts'
import type { StoreListener } from '../contract.ts'
import { findList, type FoundList } from './list-content.ts'
import { createListeners } from '../listeners.ts'

/** A feed of the changes in a directory of lists. */
export interface ListWatch {
  watch(listener: StoreListener): () => void
  /** Resolves after a check of the directory that began after the call, with its changes announced. Never rejects. */
  check(): Promise<void>
  close(): void
}

const END = '.txt'
/** How often the directory is checked even without a watch event, in milliseconds. */
const POLL = 1_000

/** The path of a list. Windows does not allow a colon, so it becomes `=`, which no name contains. */
export function listPath(directory: string, name: string): string {
  return join(directory, `${name.replaceAll(':', '=')}${END}`)
}

/** The names of the lists that have a file. Rejects if the directory could not be read. */
export async function listNames(directory: string): Promise<string[]> {
  const files = await readdir(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  })
  return files
    .filter((file) => file.endsWith(END))
    .map((file) => file.slice(0, -END.length).replaceAll('=', ':'))
    .filter(isListName)
    .sort()
}

export function createListWatch(directory: string): ListWatch {
  const listeners = createListeners()
  const seen = new Map<string, FoundList | undefined>()
  let last: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined

  function check(): Promise<void> {
    waiting ??= last = last.then(() => {
      waiting = undefined
      return timer === undefined ? undefined : look()
    })
    return waiting
  }

  async function look(): Promise<void> {
    watcher ??= watchDirectory()
    // A list that could not be checked may have changed. Reading it will report why.
    const names = await listNames(directory).catch(() => [...seen.keys()])
    for (const name of new Set([...seen.keys(), ...names])) {
      const before = seen.get(name)
      const found = await findList(listPath(directory, name)).catch(() => undefined)
      // A second check is needed to detect a change within `GRAIN`.
      if (seen.has(name) && found?.signature === before?.signature && found?.isSettled === before?.isSettled)
        continue
      if (found === undefined && !names.includes(name)) seen.delete(name)
      else seen.set(name, found)
      listeners.tell((listener) => listener.listChanged?.(name, found?.head.revision))
    }
  }

  function watchDirectory(): FSWatcher | undefined {
    try {
      const made = watch(directory, { persistent: false }, () => void check())
      made.on('error', () => made.close())
      made.on('close', () => (watcher = undefined))
      return made
    } catch {
      // The directory does not exist yet or cannot be watched. Polling remains.
      return undefined
    }
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
    watcher?.close()
    watcher = undefined
    seen.clear()
  }

  return {
    check,
    watch(listener) {
      listeners.add(listener)
      if (timer === undefined) {
        timer = setInterval(() => void check(), POLL).unref()
        void check()
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    close() {
      stop()
      listeners.clear()
    },
  }
}
