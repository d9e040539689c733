import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError } from '../../errors.ts'

/** The right to replace a file, for one writer of all processes at a time. */
export interface FileLock {
  /**
   * Writes and syncs what is to be the next content, beside the file, with its mode and its owner; for a file that is not
   * there yet, those of another one, `like`.
   */
  prepare(content: string | readonly (string | Uint8Array)[], like?: string): Promise<void>
  /** Puts what was prepared in the place of the file, in one step. Rejects when the lock was lost before. */
  commit(): Promise<void>
  /** Gives the lock back. What was prepared is gone. Never rejects. */
  release(): Promise<void>
}

/** How long to wait for a lock, in milliseconds. */
const LONGEST_WAIT = 2_000
/** The age at which a lock, or a temporary file, was left behind by a process that is gone, in milliseconds. */
const STALE_AFTER = 10_000

/**
 * Locks the file for a replacement.
 *
 * The lock is the directory `<path>.lock` with one file of a random name in it, which becomes the next content. It is taken
 * by renaming a directory to it, for which there must be none, or an empty one; and committing moves the file out of it. So
 * who takes over a lock that is stale removes the file of that holder and never that of another, and a holder that wakes
 * up later has nothing to commit any more.
 */
export async function lockFile(path: string): Promise<FileLock> {
  const directory = `${path}.lock`
  const name = randomBytes(8).toString('hex')
  for (const until = performance.now() + LONGEST_WAIT; !(await take(path, directory, name));) {
    if (performance.now() > until)
      throw new UnavailableError(`another process holds the lock \`${directory}\``)
    await sleep(1 + Math.random() * 9)
  }

  const next = join(directory, name)
  return {
    async prepare(content, like = path) {
      // To be replaced a file need not be writable, but who protects it means that too.
      const { mode, uid, gid } = await statWritable(like)
      // Not created: where it is gone, the lock is.
      const file = await open(next, 'r+').catch(orLost(directory))
      try {
        await file.truncate()
        // Who replaces a file of another user, as far as the system lets it.
        await file.chown(uid, gid).catch(() => undefined)
        await file.chmod(mode & 0o777)
        for (const part of typeof content === 'string' ? [content] : content) await file.writeFile(part)
        await file.sync()
      } finally {
        await file.close()
      }
    },
    async commit() {
      await rename(next, path).catch(orLost(directory))
      await removeEmpty(directory)
      await syncDirectory(dirname(path))
    },
    async release() {
      await rm(next, { force: true }).catch(() => undefined)
      await removeEmpty(directory)
    },
  }
}

async function statWritable(path: string): Promise<Stats> {
  const file = await open(path, 'r+')
  try {
    return await file.stat()
  } finally {
    await file.close()
  }
}

async function take(path: string, directory: string, name: string): Promise<boolean> {
  if (!(await isFree(directory))) return false
  const candidate = temporaryName(path)
  try {
    await mkdir(candidate)
    await writeFile(join(candidate, name), '', { flag: 'wx', mode: 0o600 })
    await rename(candidate, directory)
    return true
  } catch (error) {
    await rm(candidate, { recursive: true, force: true }).catch(() => undefined)
    // Another was faster.
    if (['EEXIST', 'ENOTEMPTY', process.platform === 'win32' ? 'EPERM' : ''].includes(codeOf(error)))
      return false
    throw error
  }
}

async function isFree(directory: string): Promise<boolean> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (names === undefined) return true
  for (const name of names) {
    const path = join(directory, name)
    if (await isStale(path)) await rm(path, { force: true })
  }
  if (names.length > 0) return false
  // Only Windows minds that it is there.
  await removeEmpty(directory)
  return true
}

/** Removes what processes that are gone have left beside the file. Never rejects. */
export async function sweepBeside(path: string): Promise<void> {
  const start = `${basename(path)}.`
  const names = await readdir(dirname(path)).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(start) || !TEMPORARY.test(name.slice(start.length))) continue
    const leftover = join(dirname(path), name)
    if (await isStale(leftover)) await rm(leftover, { recursive: true, force: true }).catch(() => undefined)
  }
}

const TEMPORARY = /^[0-9a-f]{16}\.tmp$/

/** A name beside the file that is swept when it stays. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString('hex')}.tmp`
}

/** Also what is from the future: the clock was put back. */
async function isStale(path: string): Promise<boolean> {
  const file = await lstat(path).catch(() => undefined)
  return file !== undefined && Math.abs(Date.now() - file.mtimeMs) > STALE_AFTER
}

async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch(() => undefined)
}

async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory.
  if (process.platform === 'win32') return
  const directory = await open(path)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function orLost(directory: string): (error: unknown) => never {
  return (error) => {
    if (codeOf(error) !== 'ENOENT') throw error
    throw new UnavailableError(
      `the lock \`${directory}\` was held too long, and another process took it over`,
    )
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code)
}
