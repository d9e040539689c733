import { mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach } from '@jest/globals'
import { fileStore, type FileStore } from 'portcullis'
import type { FileStoreOptions } from '../../../../src/store/file/store.ts'

/** A directory for the file of a store, new for each test in a file that imports this. */
export let directory: string
export let path: string
export let opened: { close(): unknown }[]
export let errors: Error[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-store-'))
  path = join(directory, 'policies.json')
  opened = []
  errors = []
})

afterEach(async () => {
  for (const { close } of opened) close()
  await rm(directory, { recursive: true })
})

export function open(options: FileStoreOptions = {}): FileStore {
  const store = fileStore(path, { onError: (error) => errors.push(error), ...options })
  opened.push(store)
  return store
}

export function textOf(apps: Record<string, unknown>): string {
  return JSON.stringify({ apps })
}

export const named = (appId: string, name: string): object => ({ policy: { appId, name } })

/** Replaces a file atomically, like a careful program. */
export async function putInPlace(text: string, at = path): Promise<void> {
  await writeFile(`${at}.new`, text)
  await rename(`${at}.new`, at)
}

export async function contents(): Promise<{
  apps: Record<string, { revision?: number; [member: string]: unknown }>
}> {
  return JSON.parse(await readFile(path, 'utf8')) as Awaited<ReturnType<typeof contents>>
}

/** The calls of a listener, in order. */
export function listen(store: FileStore): string[] {
  const heard: string[] = []
  store.watch?.({
    changed: (appId, revision) => heard.push(`changed ${appId} ${revision}`),
    broken: () => heard.push('broken'),
    restored: (complete = false) => heard.push(`restored ${complete}`),
  })
  return heard
}

export async function listenWhole(store: FileStore): Promise<string[]> {
  const heard = listen(store)
  await until(() => heard.includes('restored false'))
  heard.length = 0
  return heard
}

/**
 * Waits for a condition, with a limit in steps of 5 ms. Steps are counted, because a busy machine delays everything.
 */
export async function until(holds: () => boolean | Promise<boolean>, within = 30_000): Promise<void> {
  for (let passed = 0; !(await holds()); passed += 5) {
    if (passed > within) throw new Error(`not so within ${within} ms: ${String(holds)}`)
    await pause(5)
  }
}

/** The files next to that of the policies. */
export async function leftovers(): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name !== basename(path))
}

export async function makeOld(at: string): Promise<void> {
  const then = Date.now() / 1_000 - 11
  await utimes(at, then, then)
}
