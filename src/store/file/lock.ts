import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError } from '../../errors.ts'

/** The right to replace a file: one writer at a time, across all processes. */
export interface FileLock {
  /**
   * Writes and syncs the next content next to the file, with the mode and owner of the file, or of `like` if the file does not
   * exist yet.
   */
  prepare(content: string | readonly (string | Uint8Array)[], like?: string): Promise<void>
  /** Replaces the file with the prepared content in one step. Rejects if the lock was lost before. */
  commit(): Promise<void>
  /** Releases the lock and removes any prepared content. Never rejects. */
  release(): Promise<void>
}

/** How long to wait for a lock, in milliseconds. */
const LONGEST_WAIT = 2_000
/** The age after which a lock or a temporary file is considered abandoned, in milliseconds. */
const STALE_AFTER = 10_000

/**
 * Locks the file for a replacement.
 *
 * The lock is the directory `<path>.lock`. It contains one file with a random name, which becomes the next content. A process
 * takes the lock by renaming a directory to `<path>.lock`, which works only if that does not exist or is empty. Committing moves
 * the file out of it. So a process that takes over a stale lock removes only the file of that holder, and a holder that resumes
 * later has nothing left to commit.
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
      // Replacing a file does not require that it is writable, but a read-only file is meant to stay.
      const { mode, uid, gid } = await statWritable(like)
      // Not created: if the file is gone, the lock is lost.
      const file = await open(next, 'r+').catch(orLost(directory))
      try {
        await file.truncate()
        // For a process that replaces the file of another user, if the system allows it.
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
    // Another process was faster.
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
  // Only Windows refuses to rename onto an empty directory.
  await removeEmpty(directory)
  return true
}

/** Removes what crashed processes have left next to the file. Never rejects. */
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

/** A temporary name next to the file. A file of that name that is left over is swept later. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString('hex')}.tmp`
}

/** A time in the future is stale too: the clock was set back. */
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
